// SPDX-License-Identifier: Apache-2.0
// Api: the typed door to the keys of a cluster, for edges and the embedded node.
//
// It finds the group of a key, encodes, proposes or reads, decodes, and gives every failure, of a
// machine or of the weather, as one Status. Commands on one key take any callable
//
//   done(const Status&, const T& answer, const Origin&)       T: the answer of the verb
//
// and store it as it is, so that a call with small captures allocates nothing of its own; a read is
// served from the machine in place if this node may. What spans groups is split, joined and merged
// in api.cc. Views in an answer are good during the call of `done` only, which may come before the
// verb returns. All on one loop, as Proposer; the Api must outlive what it started.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/caller.h"
#include "base/function.h"
#include "base/hash.h"
#include "service/batch.h"
#include "service/kv/answers.h"
#include "service/kv/commands.h"
#include "service/kv/permit.h"
#include "service/kv/state.h"
#include "service/proposer.h"

namespace quorate::service::kv {

struct WriteOptions {
  SessionId session = {};     // of the key's group; with `sequence`
  uint64_t sequence = 0;
  CommandKey key = {};        // the other way to make a retry safe; also over several groups
  Duration timeout = Duration::seconds(10);
  Fence fence = {};                 // viewed until the verb returns; for what Fenced::Op can be
  const Caller* caller = nullptr;   // asked before the verb returns; null: may do everything
};

struct ReadOptions {
  ReadMode mode = {};
  Duration timeout = Duration::seconds(10);
  const Caller* caller = nullptr;   // as of WriteOptions
};

// Which answer a command or query gets.
template <class Verb> struct AnswerOf;
template <> struct AnswerOf<Get> { using Type = Found; };
template <> struct AnswerOf<Put> { using Type = Written; };
template <> struct AnswerOf<Delete> { using Type = Removed; };
template <> struct AnswerOf<Touch> { using Type = Touched; };
template <> struct AnswerOf<Increment> { using Type = Counted; };
template <> struct AnswerOf<Append> { using Type = Written; };
template <> struct AnswerOf<SetRange> { using Type = Written; };
template <> struct AnswerOf<Copy> { using Type = Written; };
template <> struct AnswerOf<AddDecimal> { using Type = Found; };
template <>
struct AnswerOf<HashRead> {
  using Type = Hashed;
};
template <>
struct AnswerOf<HashWrite> {
  using Type = Hashed;
};
template <> struct AnswerOf<PutMany> { using Type = Stored; };
template <> struct AnswerOf<DeleteMany> { using Type = Removed; };
template <> struct AnswerOf<TouchMany> { using Type = Touched; };
template <> struct AnswerOf<DeleteRange> { using Type = Removed; };
template <> struct AnswerOf<Txn> { using Type = TxnDone; };
template <> struct AnswerOf<RateLimit> { using Type = Rated; };
template <> struct AnswerOf<SetKeyspace> { using Type = Settled; };
template <>
struct AnswerOf<CreateIndex> {
  using Type = Settled;
};
template <>
struct AnswerOf<DropIndex> {
  using Type = Settled;
};
template <>
struct AnswerOf<Find> {
  using Type = Hits;
};
template <>
struct AnswerOf<Indexes> {
  using Type = IndexList;
};
template <> struct AnswerOf<GetMany> { using Type = Items; };
template <> struct AnswerOf<Scan> { using Type = Page; };
template <> struct AnswerOf<Changes> { using Type = ChangeList; };
template <> struct AnswerOf<Dump> { using Type = Dumped; };
template <>
struct AnswerOf<Trail> {
  using Type = Trailed;
};
template <> struct AnswerOf<Stats> { using Type = Usage; };

template <class Verb>
using DoneOf = UniqueFunction<void(const Status&, const typename AnswerOf<Verb>::Type&,
                                   const Origin&)>;

// Decodes what a group answered and hands it on; also bytes that are another verb's answer.
template <class T, class Done>
void deliver(Done& done, const Status& status, std::string_view bytes, const Origin& origin) {
  if (!status.ok()) {
    done(status, T{}, origin);
    return;
  }
  const Answer answer = decode_answer(bytes);
  if (const T* const fields = std::get_if<T>(&answer)) {
    done(Status(), *fields, origin);
    return;
  }
  const Status* const refusal = std::get_if<Status>(&answer);
  done(refusal != nullptr ? *refusal : Status(Code::kCorrupted, "another verb's answer"), T{},
       origin);
}

class Api {
 public:
  explicit Api(Proposer& proposer) : proposer_(proposer) {}
  Api(const Api&) = delete;
  Api& operator=(const Api&) = delete;

  // --- One key -------------------------------------------------------------------------------

  // Put, Delete, Touch, Increment, Append, SetRange, AddDecimal, HashWrite; and Copy, whose target
  // must live in the same group.
  template <class Single, class F>
    requires requires(const Single& command) { Command(command).index(); command.key; }
  void write(const Single& command, const WriteOptions& options, F&& done) {
    write_to(group_of(command.keyspace, command.key), command, options, std::forward<F>(done));
  }
  // For who knows the group of its key already.
  template <class Single, class F>
  requires requires(const Single& command) {
    Command(command).index();
    command.key;
  }
  void write_to(GroupId group, const Single& command, const WriteOptions& options, F&& done) {
    if (Status status = permit(options.caller, command); !status.ok()) {
      done(status, typename AnswerOf<Single>::Type{}, Origin{});
      return;
    }
    std::string body = std::exchange(scratch_, {});
    body.clear();
    if constexpr (std::is_same_v<Single, Put>) {
      encode(command, body);
    } else {
      encode(Command(command), body);
    }
    propose<Single>(group, body, options, std::forward<F>(done));
    scratch_ = std::move(body);
  }
  template <class F>
  void rate_limit(const RateLimit& command, const WriteOptions& options, F&& done) {
    if (Status status = permit(options.caller, command); !status.ok()) {
      done(status, Rated{}, Origin{});
      return;
    }
    std::string body;
    encode(Command(command), body);
    propose<RateLimit>(group_of(command.keyspace, command.name), body, options,
                       std::forward<F>(done));
  }

  // Not_found if there is no such key.
  template <class F>
  void get(const Get& query, const ReadOptions& options, F&& done) {
    if (Status status = permit(options.caller, query); !status.ok()) {
      done(status, Found{}, Origin{});
      return;
    }
    const GroupId group = group_of(query.keyspace, query.key);
    const LocalRead here = proposer_.read_here(group, ServiceId::kKv, options.mode);
    const State* const state = typed<State>(here.machine);
    if (state == nullptr || query.key.empty() || query.key.size() > limits::kKeyBytesMax) {
      std::string body;
      encode(query, body);
      ask<Get>(group, body, options, std::forward<F>(done));
      return;
    }
    Found found{state->get(query.keyspace, query.key, here.now)};
    if (!query.with_value) {
      found.item.value = {};
    }
    done(found.item.found() ? Status() : Status(Code::kNotFound, "no such key"), found,
         here.origin);
  }

  template <class F>
  void hash_read(const HashRead& query, const ReadOptions& options, F&& done) {
    if (Status status = permit(options.caller, query); !status.ok()) {
      done(status, Hashed{}, Origin{});
      return;
    }
    std::string body;
    encode(Query(query), body);
    ask<HashRead>(group_of(query.keyspace, query.key), body, options, std::forward<F>(done));
  }

  // --- Several keys --------------------------------------------------------------------------

  // One command per group. A batch that spans groups is not atomic: if a part of it failed, the
  // status is unknown_outcome, and a retry with the same key completes it. Sessions belong to one
  // group, so such a batch takes a key; if_all_absent and a fence are refused for it.
  void put_many(const PutMany& command, const WriteOptions& options, DoneOf<PutMany> done);
  void delete_many(const DeleteMany& command, const WriteOptions& options, DoneOf<DeleteMany> done);
  void touch_many(const TouchMany& command, const WriteOptions& options, DoneOf<TouchMany> done);
  // In every group that may hold keys of the range.
  void delete_range(const DeleteRange& command, const WriteOptions& options,
                    DoneOf<DeleteRange> done);
  // All keys must live in one group, as those with the same {tag} do.
  void txn(const Txn& command, const WriteOptions& options, DoneOf<Txn> done);

  // In the order of the question, over all groups.
  void get_many(const GetMany& query, const ReadOptions& options, DoneOf<GetMany> done);
  // One page in the order of keys, over all groups; each group's part is of its own moment, and
  // the revision of the page is zero if there are several.
  void scan(const Scan& query, const ReadOptions& options, DoneOf<Scan> done);
  // Sums; the revisions are zero.
  void stats(const Stats& query, const ReadOptions& options, DoneOf<Stats> done);
  // Of one group: revisions are a group's own.
  void stats_of(GroupId group, const Stats& query, const ReadOptions& options, DoneOf<Stats> done);
  void changes(GroupId group, const Changes& query, const ReadOptions& options,
               DoneOf<Changes> done);

  // ---- Indexes --------------------------------------------------------------------------------

  // In every group of the keyspace; done in only a part of them, they may be repeated. A unique
  // index needs a keyspace of one group.
  void create_index(const CreateIndex& command, const WriteOptions& options,
                    DoneOf<CreateIndex> done);
  void drop_index(const DropIndex& command, const WriteOptions& options, DoneOf<DropIndex> done);
  void indexes(const Indexes& query, const ReadOptions& options, DoneOf<Indexes> done);
  // As a scan, in the order of values and then of keys.
  void find(const Find& query, const ReadOptions& options, DoneOf<Find> done);

  // For who administers the cluster.
  void dump(GroupId group, const Dump& query, const ReadOptions& options, DoneOf<Dump> done);
  void trail(GroupId group, const Trail& query, const ReadOptions& options, DoneOf<Trail> done);

  // ---- Keyspaces ------------------------------------------------------------------------------

  // Where the keys of a keyspace live: the group of each partition; none: every group, by slot.
  // Before any other call that names the keyspace; the default one needs it not.
  void define(KeyspaceId keyspace, const std::vector<GroupId>& partitions);
  // SetKeyspace, SetCompression, DropKeyspace: to one group.
  void settle(GroupId group, const Command& command, const WriteOptions& options,
              DoneOf<SetKeyspace> done);

  [[nodiscard]] GroupId group_of(KeyspaceId keyspace, std::string_view key) const {
    return keyspace.none() ? group_of(key) : group_in(keyspace, key);
  }
  [[nodiscard]] GroupId group_of(std::string_view key) const {
    return proposer_.group_of_slot(slot_of(key));
  }
  // Those in which keys of the range may live: one, if it is of a prefix with a whole {tag}.
  [[nodiscard]] std::vector<GroupId> groups_of(KeyspaceId keyspace, const Range& range) const;
  [[nodiscard]] Proposer& proposer() { return proposer_; }

 private:
  template <class Verb, class F>
  void propose(GroupId group, std::string_view body, const WriteOptions& options, F&& done) {
    using T = typename AnswerOf<Verb>::Type;
    std::string fenced;
    if (!options.fence.none()) {
      if (Status status = begin<Verb>(options, fenced); !status.ok()) {
        done(status, T{}, Origin{});
        return;
      }
      fenced.append(body);
      body = fenced;
    }
    proposer_.propose({.group = group,
                       .service = ServiceId::kKv,
                       .session = options.session,
                       .sequence = options.sequence,
                       .body = body,
                       .timeout = options.timeout,
                       .key = options.key},
                      [done = std::forward<F>(done)](
                          const Status& status, std::string_view answer,
                          const Origin& origin) mutable {
                        deliver<T>(done, status, answer, origin);
                      });
  }
  // What stands before the bytes of a command under a fence.
  template <class Verb>
  [[nodiscard]] static Status begin(const WriteOptions& options, std::string& out) {
    if constexpr (!kMayBeFenced<Verb>) {
      return Status(Code::kInvalidArgument, "this command takes no fence");
    }
    RETURN_IF_ERROR(check_fence(options.fence));
    RETURN_IF_ERROR(permit(options.caller, options.fence));
    begin_fenced(options.fence, out);
    return Status::success();
  }
  template <class Verb, class F>
  void ask(GroupId group, std::string_view body, const ReadOptions& options, F&& done) {
    using T = typename AnswerOf<Verb>::Type;
    proposer_.query({.group = group,
                     .service = ServiceId::kKv,
                     .mode = options.mode,
                     .body = body,
                     .timeout = options.timeout},
                    [done = std::forward<F>(done)](
                        const Status& status, std::string_view answer,
                        const Origin& origin) mutable {
                      deliver<T>(done, status, answer, origin);
                    });
  }

  template <class Verb>
  void ask_one(GroupId group, const Query& query, const ReadOptions& options, DoneOf<Verb> done);
  template <class Verb>
  void tell_all(const Verb& command, const WriteOptions& options, DoneOf<Verb> done);
  template <class Verb>
  void split_write(std::vector<std::pair<GroupId, Verb>> parts, const WriteOptions& options,
                   DoneOf<Verb> done);

  [[nodiscard]] GroupId group_in(KeyspaceId keyspace, std::string_view key) const;

  Proposer& proposer_;
  std::map<KeyspaceId, std::vector<GroupId>> partitions_;
  std::string scratch_;     // a body in the making, kept for its capacity
};

}  // namespace quorate::service::kv
