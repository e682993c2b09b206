// SPDX-License-Identifier: Apache-2.0
// What spans groups: split by group, joined when the last group has answered.
#include "service/kv/api.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "base/assert.h"
#include "base/limits.h"

namespace quorate::service::kv {
namespace {

constexpr char kSeveralGroups[] = "the keys live in several groups: give them one {tag}";

// The oldest of several answers speaks for all.
void merge_origin(const Origin& part, Origin& whole) {
  whole.group = part.group;
  whole.index = part.index;
  whole.node = part.node;
  whole.staleness = std::max(whole.staleness, part.staleness);
}

void add(const Stored& part, Stored& sum) {
  sum.count += part.count;
  sum.revision = part.revision;
}

void add(const Removed& part, Removed& sum) {
  sum.count += part.count;
  sum.revision = part.revision;
  sum.more = sum.more || part.more;
}

void add(const Touched& part, Touched& sum) {
  sum.count += part.count;
  sum.expires = part.expires;
}

void add(const Settled& part, Settled& sum) { sum.steps += part.steps; }

void add(const Usage& part, Usage& sum) {
  sum.keys += part.keys;
  sum.bytes += part.bytes;
  sum.expiring += part.expiring;
  sum.keys_max += part.keys_max;
  sum.bytes_max += part.bytes_max;
  sum.saved_bytes += part.saved_bytes;
}

// A command that was split: some parts done and some not is an outcome of its own, since "nothing
// happened" and "it was done" are both untrue.
template <class Verb>
struct Join {
  using T = typename AnswerOf<Verb>::Type;

  void on_part(const Status& status, const T& part, const Origin& part_origin) {
    ASSERT(left > 0);
    if (status.ok()) {
      ++succeeded;
      add(part, sum);
      merge_origin(part_origin, origin);
    } else if (failure.ok() || status.code() == Code::kUnknownOutcome) {
      failure = status;
    }
    if (--left > 0) {
      return;
    }
    if (!failure.ok() && succeeded > 0 && !std::is_same_v<Verb, Stats>) {
      failure = Status(Code::kUnknownOutcome, "only a part was done: " + failure.to_string());
    }
    done(failure, failure.ok() ? sum : T{}, origin);
  }

  DoneOf<Verb> done;
  size_t left = 0;
  size_t succeeded = 0;
  Status failure;
  T sum;
  Origin origin;
};

// Answers of several groups to one query, kept as bytes: their views must last until the last one.
struct Gathered {
  explicit Gathered(size_t groups) : left(groups), answers(groups) {}
  size_t left;
  Status failure;
  Origin origin;
  std::vector<std::string> answers;   // in the order of the groups asked
  UniqueFunction<void(Gathered&)> finish;
};

using Gather = std::shared_ptr<Gathered>;

struct GatherPart {
  size_t at;
  GroupId group;
};

void gather(Proposer& proposer, const Query& query, const ReadOptions& options, const Gather& all,
            GatherPart part) {
  std::string body;
  encode(query, body);
  proposer.query({.group = part.group,
                  .service = ServiceId::kKv,
                  .mode = options.mode,
                  .body = body,
                  .timeout = options.timeout},
                 [all, at = part.at](const Status& status, std::string_view answer,
                                     const Origin& origin) {
                   if (status.ok()) {
                     all->answers[at] = answer;
                     merge_origin(origin, all->origin);
                   } else {
                     all->failure = status;
                   }
                   if (--all->left == 0) {
                     all->finish(*all);
                   }
                 });
}

// Decodes the answer of one part; a refusal becomes the failure of the whole.
template <class T>
bool decode_part(const std::string& bytes, T& part, Status& failure) {
  Answer answer = decode_answer(bytes);
  if (T* const fields = std::get_if<T>(&answer)) {
    part = std::move(*fields);
    return true;
  }
  const Status* const refusal = std::get_if<Status>(&answer);
  failure = refusal != nullptr ? *refusal : Status(Code::kCorrupted, "another verb's answer");
  return false;
}

uint64_t bounded(uint64_t asked, uint64_t most) {
  return asked == 0 ? most : std::min(asked, most);
}

std::string_view value_of(const Item& item) { return item.value; }
std::string_view value_of(const Hit& hit) { return hit.item.value; }

struct PageBounds {
  bool backwards = false;
  uint64_t items_max = 0;
  uint64_t bytes_max = 0;
};

template <class Asked>
PageBounds bounds_of(const Asked& asked) {
  return {asked.backwards, bounded(asked.limit, limits::kScanItemsMax),
          bounded(asked.bytes_max, limits::kScanBytesMax)};
}

// What one page has in which list, and by what that is in order.
template <class Whole, class Each>
struct PageShape {
  std::vector<Each> Whole::*list;
  std::string_view Each::*place;
};

// Places are known only up to where every group has looked; what lies behind is for the next page.
template <class Whole, class Each>
Whole merge_pages(const PageBounds& bounds, std::vector<Whole> pages,
                  PageShape<Whole, Each> shape) {
  const auto comes_before = [&](std::string_view left, std::string_view right) {
    return bounds.backwards ? right < left : left < right;
  };
  Whole merged;
  std::vector<Each>& all = merged.*shape.list;
  std::string_view bound;
  for (Whole& page : pages) {
    if (!page.resume.empty() && (bound.empty() || comes_before(page.resume, bound))) {
      bound = page.resume;
    }
    all.insert(all.end(), (page.*shape.list).begin(), (page.*shape.list).end());
  }
  std::sort(all.begin(), all.end(), [&](const Each& left, const Each& right) {
    return comes_before(left.*shape.place, right.*shape.place);
  });
  const auto beyond = std::find_if(all.begin(), all.end(), [&](const Each& each) {
    return !bound.empty() && comes_before(bound, each.*shape.place);
  });
  all.erase(beyond, all.end());
  merged.resume = bound;
  uint64_t bytes = 0;
  for (size_t at = 0; at < all.size(); ++at) {
    if (at == bounds.items_max || bytes >= bounds.bytes_max) {
      all.resize(at);
      merged.resume = all.back().*shape.place;
      break;
    }
    bytes += (all[at].*shape.place).size() + value_of(all[at]).size();
  }
  return merged;
}

// One page of each group, merged.
template <class Whole, class Each, class Done>
auto merge_with(const PageBounds& bounds, PageShape<Whole, Each> shape, Done done) {
  return [bounds, shape, done = std::move(done)](Gathered& it) mutable {
    std::vector<Whole> pages(it.answers.size());
    for (size_t at = 0; at < pages.size() && it.failure.ok(); ++at) {
      (void)decode_part(it.answers[at], pages[at], it.failure);
    }
    done(it.failure, it.failure.ok() ? merge_pages(bounds, std::move(pages), shape) : Whole{},
         it.origin);
  };
}

// An index is as far as the group that is least far.
void join_index(const IndexList::Index& part, IndexList& list) {
  const auto found =
      std::find_if(list.indexes.begin(), list.indexes.end(),
                   [&](const IndexList::Index& index) { return index.name == part.name; });
  if (found == list.indexes.end()) {
    list.indexes.push_back(part);
    return;
  }
  found->entries += part.entries;
  const auto distance = [](IndexStage stage) {
    return stage == IndexStage::kReady ? 0 : stage == IndexStage::kBuilding ? 1 : 2;
  };
  if (distance(part.stage) > distance(found->stage)) {
    found->stage = part.stage;
    found->cursor = part.cursor;
  }
}

// Answers what may not be asked, or is over a limit.
template <class Asked, class Done>
bool is_refused(const Asked& asked, const Caller* caller, Done& done) {
  Status status = permit(caller, asked);
  status = status.ok() ? validate(asked) : status;
  if (!status.ok()) {
    done(status, {}, {});
  }
  return !status.ok();
}

// The tag in a prefix decides the slot of every key that begins with it.
bool has_whole_tag(std::string_view prefix) {
  const size_t open = prefix.find('{');
  const size_t close = open == std::string_view::npos ? open : prefix.find('}', open + 1);
  return close != std::string_view::npos && close > open + 1;
}

}  // namespace

template <class Verb>
void Api::split_write(std::vector<std::pair<GroupId, Verb>> parts, const WriteOptions& options,
                      DoneOf<Verb> done) {
  ASSERT(!parts.empty());
  if (parts.size() > 1 && !options.session.none()) {
    done(Status(Code::kInvalidArgument, "a batch over several groups takes a key, not a session"),
         {}, {});
    return;
  }
  if (parts.size() > 1 && !options.fence.none()) {
    done(Status(Code::kInvalidArgument, kSeveralGroups), {}, {});
    return;
  }
  auto join = std::make_shared<Join<Verb>>();
  join->done = std::move(done);
  join->left = parts.size();
  for (const auto& [group, part] : parts) {
    std::string body;
    encode(Command(part), body);
    propose<Verb>(group, body, options,
                  [join](const Status& status, const typename AnswerOf<Verb>::Type& answer,
                         const Origin& origin) { join->on_part(status, answer, origin); });
  }
}

void Api::put_many(const PutMany& command, const WriteOptions& options, DoneOf<PutMany> done) {
  if (is_refused(Command(command), options.caller, done)) {
    return;
  }
  std::map<GroupId, PutMany> parts;
  for (const PutMany::Item& item : command.items) {
    PutMany& part = parts[group_of(command.keyspace, item.key)];
    part.keyspace = command.keyspace;
    part.if_all_absent = command.if_all_absent;
    part.items.push_back(item);
  }
  if (command.if_all_absent && parts.size() > 1) {
    done(Status(Code::kInvalidArgument, kSeveralGroups), {}, {});
    return;
  }
  split_write<PutMany>({parts.begin(), parts.end()}, options, std::move(done));
}

void Api::delete_many(const DeleteMany& command, const WriteOptions& options,
                      DoneOf<DeleteMany> done) {
  if (is_refused(Command(command), options.caller, done)) {
    return;
  }
  std::map<GroupId, DeleteMany> parts;
  for (const std::string_view key : command.keys) {
    DeleteMany& part = parts[group_of(command.keyspace, key)];
    part.keyspace = command.keyspace;
    part.keys.push_back(key);
  }
  split_write<DeleteMany>({parts.begin(), parts.end()}, options, std::move(done));
}

void Api::touch_many(const TouchMany& command, const WriteOptions& options,
                     DoneOf<TouchMany> done) {
  if (is_refused(Command(command), options.caller, done)) {
    return;
  }
  std::map<GroupId, TouchMany> parts;
  for (const std::string_view key : command.keys) {
    TouchMany& part = parts[group_of(command.keyspace, key)];
    part.keyspace = command.keyspace;
    part.lifetime = command.lifetime;
    part.keys.push_back(key);
  }
  split_write<TouchMany>({parts.begin(), parts.end()}, options, std::move(done));
}

void Api::delete_range(const DeleteRange& command, const WriteOptions& options,
                       DoneOf<DeleteRange> done) {
  if (is_refused(Command(command), options.caller, done)) {
    return;
  }
  std::vector<std::pair<GroupId, DeleteRange>> parts;
  for (const GroupId group : groups_of(command.keyspace, command.range)) {
    parts.emplace_back(group, command);
  }
  split_write<DeleteRange>(std::move(parts), options, std::move(done));
}

void Api::txn(const Txn& command, const WriteOptions& options, DoneOf<Txn> done) {
  if (is_refused(Command(command), options.caller, done)) {
    return;
  }
  GroupId group;
  bool is_one_group = true;
  const auto take = [&](std::string_view key) {
    const GroupId its_group = group_of(command.keyspace, key);
    is_one_group = is_one_group && (group.none() || group == its_group);
    group = its_group;
  };
  for (const Compare& compare : command.compares) {
    take(compare.key);
  }
  for (const auto* ops : {&command.then, &command.otherwise}) {
    for (const Txn::Op& op : *ops) {
      std::visit([&](const auto& fields) { take(fields.key); }, op);
      if (const Copy* const copy = std::get_if<Copy>(&op)) {
        take(copy->target);
      }
    }
  }
  if (!is_one_group) {
    done(Status(Code::kInvalidArgument, kSeveralGroups), {}, {});
    return;
  }
  std::string body;
  encode(Command(command), body);
  propose<Txn>(group, body, options, std::move(done));
}

void Api::get_many(const GetMany& query, const ReadOptions& options, DoneOf<GetMany> done) {
  if (is_refused(Query(query), options.caller, done)) {
    return;
  }
  std::map<GroupId, GetMany> parts;
  std::vector<std::pair<GroupId, size_t>> places;   // of each key: its group, its number there
  places.reserve(query.keys.size());
  for (const std::string_view key : query.keys) {
    const GroupId group = group_of(query.keyspace, key);
    GetMany& part = parts[group];
    part.keyspace = query.keyspace;
    part.with_values = query.with_values;
    places.emplace_back(group, part.keys.size());
    part.keys.push_back(key);
  }
  auto all = std::make_shared<Gathered>(parts.size());
  std::vector<GroupId> groups;
  for (const auto& [group, part] : parts) {
    groups.push_back(group);
  }
  all->finish = [groups, places = std::move(places), done = std::move(done)](Gathered& it) mutable {
    std::map<GroupId, Items> by_group;
    for (size_t at = 0; at < groups.size() && it.failure.ok(); ++at) {
      (void)decode_part(it.answers[at], by_group[groups[at]], it.failure);
    }
    Items items;
    for (const auto& [group, number] : places) {
      if (it.failure.ok() && number >= by_group[group].items.size()) {
        it.failure = Status(Code::kCorrupted, "an answer with too few items");
      }
      if (it.failure.ok()) {
        items.items.push_back(by_group[group].items[number]);
      }
    }
    done(it.failure, it.failure.ok() ? items : Items{}, it.origin);
  };
  size_t at = 0;
  for (const auto& [group, part] : parts) {
    gather(proposer_, Query(part), options, all, {at++, group});
  }
}

void Api::scan(const Scan& query, const ReadOptions& options, DoneOf<Scan> done) {
  if (is_refused(Query(query), options.caller, done)) {
    return;
  }
  const std::vector<GroupId> groups = groups_of(query.keyspace, query.range);
  if (groups.size() == 1) {
    ask_one<Scan>(groups.front(), Query(query), options, std::move(done));
    return;
  }
  auto all = std::make_shared<Gathered>(groups.size());
  all->finish = merge_with(bounds_of(query), PageShape<Page, Item>{&Page::items, &Item::key},
                           std::move(done));
  for (size_t at = 0; at < groups.size(); ++at) {
    gather(proposer_, Query(query), options, all, {at, groups[at]});
  }
}

// ---- indexes -----------------------------------------------------------------------------------

template <class Verb>
void Api::tell_all(const Verb& command, const WriteOptions& options, DoneOf<Verb> done) {
  if (is_refused(Command(command), options.caller, done)) {
    return;
  }
  std::vector<std::pair<GroupId, Verb>> parts;
  for (const GroupId group : groups_of(command.keyspace, {})) {
    parts.emplace_back(group, command);
  }
  split_write<Verb>(std::move(parts), options, std::move(done));
}

void Api::create_index(const CreateIndex& command, const WriteOptions& options,
                       DoneOf<CreateIndex> done) {
  if (command.unique && groups_of(command.keyspace, {}).size() > 1) {
    done(Status(Code::kInvalidArgument,
                "an index is unique within one group only: take a keyspace of one partition"),
         {}, {});
    return;
  }
  tell_all(command, options, std::move(done));
}

void Api::drop_index(const DropIndex& command, const WriteOptions& options,
                     DoneOf<DropIndex> done) {
  tell_all(command, options, std::move(done));
}

void Api::indexes(const Indexes& query, const ReadOptions& options, DoneOf<Indexes> done) {
  if (is_refused(Query(query), options.caller, done)) {
    return;
  }
  const std::vector<GroupId> groups = groups_of(query.keyspace, {});
  auto all = std::make_shared<Gathered>(groups.size());
  all->finish = [done = std::move(done)](Gathered& it) mutable {
    IndexList list;
    for (size_t at = 0; at < it.answers.size() && it.failure.ok(); ++at) {
      IndexList part;
      if (decode_part(it.answers[at], part, it.failure)) {
        for (const IndexList::Index& index : part.indexes) {
          join_index(index, list);
        }
      }
    }
    done(it.failure, it.failure.ok() ? list : IndexList{}, it.origin);
  };
  for (size_t at = 0; at < groups.size(); ++at) {
    gather(proposer_, Query(query), options, all, {at, groups[at]});
  }
}

void Api::find(const Find& query, const ReadOptions& options, DoneOf<Find> done) {
  if (is_refused(Query(query), options.caller, done)) {
    return;
  }
  const std::vector<GroupId> groups = groups_of(query.keyspace, {});
  if (groups.size() == 1) {
    ask_one<Find>(groups.front(), Query(query), options, std::move(done));
    return;
  }
  auto all = std::make_shared<Gathered>(groups.size());
  all->finish =
      merge_with(bounds_of(query), PageShape<Hits, Hit>{&Hits::hits, &Hit::place}, std::move(done));
  for (size_t at = 0; at < groups.size(); ++at) {
    gather(proposer_, Query(query), options, all, {at, groups[at]});
  }
}

void Api::stats(const Stats& query, const ReadOptions& options, DoneOf<Stats> done) {
  if (is_refused(Query(query), options.caller, done)) {
    return;
  }
  const std::vector<GroupId> groups = groups_of(query.keyspace, {});
  auto join = std::make_shared<Join<Stats>>();
  join->done = std::move(done);
  join->left = groups.size();
  std::string body;
  encode(Query(query), body);
  for (const GroupId group : groups) {
    ask<Stats>(group, body, options,
               [join](const Status& status, const Usage& usage, const Origin& origin) {
                 join->on_part(status, usage, origin);
               });
  }
}

void Api::stats_of(GroupId group, const Stats& query, const ReadOptions& options,
                   DoneOf<Stats> done) {
  if (is_refused(Query(query), options.caller, done)) {
    return;
  }
  ask_one<Stats>(group, Query(query), options, std::move(done));
}

void Api::changes(GroupId group, const Changes& query, const ReadOptions& options,
                  DoneOf<Changes> done) {
  if (is_refused(Query(query), options.caller, done)) {
    return;
  }
  ask_one<Changes>(group, Query(query), options, std::move(done));
}

void Api::dump(GroupId group, const Dump& query, const ReadOptions& options, DoneOf<Dump> done) {
  ask_one<Dump>(group, Query(query), options, std::move(done));
}

void Api::trail(GroupId group, const Trail& query, const ReadOptions& options, DoneOf<Trail> done) {
  ask_one<Trail>(group, Query(query), options, std::move(done));
}

template <class Verb>
void Api::ask_one(GroupId group, const Query& query, const ReadOptions& options,
                  DoneOf<Verb> done) {
  std::string body;
  encode(query, body);
  ask<Verb>(group, body, options, std::move(done));
}

void Api::define(KeyspaceId keyspace, const std::vector<GroupId>& partitions) {
  if (!partitions.empty()) {
    partitions_[keyspace] = partitions;
  }
}

void Api::settle(GroupId group, const Command& command, const WriteOptions& options,
                 DoneOf<SetKeyspace> done) {
  std::string body;
  encode(command, body);
  propose<SetKeyspace>(group, body, options, std::move(done));
}

// The slots are cut into as many ranges as there are partitions.
GroupId Api::group_in(KeyspaceId keyspace, std::string_view key) const {
  const auto found = partitions_.find(keyspace);
  if (found == partitions_.end()) {
    return group_of(key);
  }
  const std::vector<GroupId>& partitions = found->second;
  return partitions.size() == 1 ? partitions.front()
                                : partitions[slot_of(key) * partitions.size() / kSlots];
}

std::vector<GroupId> Api::groups_of(KeyspaceId keyspace, const Range& range) const {
  if (has_whole_tag(range.begin) && range.end == prefix_end(range.begin)) {
    return {group_of(keyspace, range.begin)};
  }
  if (const auto found = partitions_.find(keyspace); found != partitions_.end()) {
    const std::set<GroupId> distinct(found->second.begin(), found->second.end());
    return {distinct.begin(), distinct.end()};
  }
  std::vector<GroupId> groups;
  for (uint32_t number = 1; number <= proposer_.groups(); ++number) {
    groups.emplace_back(number);
  }
  return groups;
}

}  // namespace quorate::service::kv
