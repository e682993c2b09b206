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

#include <string>
#include <string_view>
#include <utility>

#include "base/function.h"
#include "base/hash.h"
#include "service/batch.h"
#include "service/kv/answers.h"
#include "service/kv/commands.h"
#include "service/kv/state.h"
#include "service/proposer.h"

namespace quorate::service::kv {

struct WriteOptions {
  SessionId session = {};     // of the key's group; with `sequence`
  uint64_t sequence = 0;
  CommandKey key = {};        // the other way to make a retry safe; also over several groups
  Duration timeout = Duration::seconds(10);
};

struct ReadOptions {
  ReadMode mode = {};
  Duration timeout = Duration::seconds(10);
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
template <> struct AnswerOf<PutMany> { using Type = Stored; };
template <> struct AnswerOf<DeleteMany> { using Type = Removed; };
template <> struct AnswerOf<TouchMany> { using Type = Touched; };
template <> struct AnswerOf<DeleteRange> { using Type = Removed; };
template <> struct AnswerOf<Txn> { using Type = TxnDone; };
template <> struct AnswerOf<RateLimit> { using Type = Rated; };
template <> struct AnswerOf<GetMany> { using Type = Items; };
template <> struct AnswerOf<Scan> { using Type = Page; };
template <> struct AnswerOf<Changes> { using Type = ChangeList; };
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

  // Put, Delete, Touch, Increment, Append, SetRange.
  template <class Single, class F>
    requires requires(const Single& command) { Command(command).index(); command.key; }
  void write(const Single& command, const WriteOptions& options, F&& done) {
    std::string body = std::exchange(scratch_, {});
    body.clear();
    if constexpr (std::is_same_v<Single, Put>) {
      encode(command, body);
    } else {
      encode(Command(command), body);
    }
    propose<Single>(group_of(command.key), body, options, std::forward<F>(done));
    scratch_ = std::move(body);
  }
  template <class F>
  void rate_limit(const RateLimit& command, const WriteOptions& options, F&& done) {
    std::string body;
    encode(Command(command), body);
    propose<RateLimit>(group_of(command.name), body, options, std::forward<F>(done));
  }

  // Not_found if there is no such key.
  template <class F>
  void get(const Get& query, const ReadOptions& options, F&& done) {
    const GroupId group = group_of(query.key);
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

  // --- Several keys --------------------------------------------------------------------------

  // One command per group. A batch that spans groups is not atomic: if a part of it failed, the
  // status is unknown_outcome, and a retry with the same key completes it. Sessions belong to one
  // group, so such a batch takes a key; if_all_absent is refused for it.
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
  void changes(GroupId group, const Changes& query, const ReadOptions& options,
               DoneOf<Changes> done);

  [[nodiscard]] GroupId group_of(std::string_view key) const {
    return proposer_.group_of_slot(slot_of(key));
  }
  [[nodiscard]] Proposer& proposer() { return proposer_; }

 private:
  template <class Verb, class F>
  void propose(GroupId group, std::string_view body, const WriteOptions& options, F&& done) {
    using T = typename AnswerOf<Verb>::Type;
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
  void split_write(std::vector<std::pair<GroupId, Verb>> parts, const WriteOptions& options,
                   DoneOf<Verb> done);
  [[nodiscard]] std::vector<GroupId> groups_of(const Range& range) const;

  Proposer& proposer_;
  std::string scratch_;     // a body in the making, kept for its capacity
};

}  // namespace quorate::service::kv
