// SPDX-License-Identifier: Apache-2.0
// What spans groups: split by group, joined when the last group has answered.
#include "service/kv/api.h"

#include <algorithm>
#include <map>
#include <memory>
#include <vector>

#include "base/assert.h"
#include "base/limits.h"

namespace quorate::service::kv {
namespace {

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

void add(const Usage& part, Usage& sum) {
  sum.keys += part.keys;
  sum.bytes += part.bytes;
  sum.expiring += part.expiring;
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

bool comes_before(const Scan& scan, std::string_view left, std::string_view right) {
  return scan.backwards ? right < left : left < right;
}

// Keys are known only up to where every group has looked; what lies behind is for the next page.
Page merge_pages(const Scan& scan, std::vector<Page> pages) {
  Page merged;
  std::string_view bound;
  for (Page& page : pages) {
    if (!page.resume.empty() && (bound.empty() || comes_before(scan, page.resume, bound))) {
      bound = page.resume;
    }
    merged.items.insert(merged.items.end(), page.items.begin(), page.items.end());
  }
  std::sort(merged.items.begin(), merged.items.end(), [&](const Item& left, const Item& right) {
    return comes_before(scan, left.key, right.key);
  });
  const auto beyond = std::find_if(merged.items.begin(), merged.items.end(), [&](const Item& item) {
    return !bound.empty() && comes_before(scan, bound, item.key);
  });
  merged.items.erase(beyond, merged.items.end());
  merged.resume = bound;
  const uint64_t items_max = bounded(scan.limit, limits::kScanItemsMax);
  const uint64_t bytes_max = bounded(scan.bytes_max, limits::kScanBytesMax);
  uint64_t bytes = 0;
  for (size_t at = 0; at < merged.items.size(); ++at) {
    if (at == items_max || bytes >= bytes_max) {
      merged.items.resize(at);
      merged.resume = merged.items.back().key;
      break;
    }
    bytes += merged.items[at].key.size() + merged.items[at].value.size();
  }
  return merged;
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
  if (Status status = validate(Command(command)); !status.ok()) {
    done(status, {}, {});
    return;
  }
  std::map<GroupId, PutMany> parts;
  for (const PutMany::Item& item : command.items) {
    PutMany& part = parts[group_of(item.key)];
    part.keyspace = command.keyspace;
    part.if_all_absent = command.if_all_absent;
    part.items.push_back(item);
  }
  if (command.if_all_absent && parts.size() > 1) {
    done(Status(Code::kInvalidArgument, "the keys live in several groups: give them one {tag}"), {},
         {});
    return;
  }
  split_write<PutMany>({parts.begin(), parts.end()}, options, std::move(done));
}

void Api::delete_many(const DeleteMany& command, const WriteOptions& options,
                      DoneOf<DeleteMany> done) {
  if (Status status = validate(Command(command)); !status.ok()) {
    done(status, {}, {});
    return;
  }
  std::map<GroupId, DeleteMany> parts;
  for (const std::string_view key : command.keys) {
    DeleteMany& part = parts[group_of(key)];
    part.keyspace = command.keyspace;
    part.keys.push_back(key);
  }
  split_write<DeleteMany>({parts.begin(), parts.end()}, options, std::move(done));
}

void Api::touch_many(const TouchMany& command, const WriteOptions& options,
                     DoneOf<TouchMany> done) {
  if (Status status = validate(Command(command)); !status.ok()) {
    done(status, {}, {});
    return;
  }
  std::map<GroupId, TouchMany> parts;
  for (const std::string_view key : command.keys) {
    TouchMany& part = parts[group_of(key)];
    part.keyspace = command.keyspace;
    part.lifetime = command.lifetime;
    part.keys.push_back(key);
  }
  split_write<TouchMany>({parts.begin(), parts.end()}, options, std::move(done));
}

void Api::delete_range(const DeleteRange& command, const WriteOptions& options,
                       DoneOf<DeleteRange> done) {
  std::vector<std::pair<GroupId, DeleteRange>> parts;
  for (const GroupId group : groups_of(command.range)) {
    parts.emplace_back(group, command);
  }
  split_write<DeleteRange>(std::move(parts), options, std::move(done));
}

void Api::txn(const Txn& command, const WriteOptions& options, DoneOf<Txn> done) {
  if (Status status = validate(Command(command)); !status.ok()) {
    done(status, {}, {});
    return;
  }
  GroupId group;
  bool is_one_group = true;
  const auto take = [&](std::string_view key) {
    const GroupId its_group = group_of(key);
    is_one_group = is_one_group && (group.none() || group == its_group);
    group = its_group;
  };
  for (const Compare& compare : command.compares) {
    take(compare.key);
  }
  for (const auto* ops : {&command.then, &command.otherwise}) {
    for (const Txn::Op& op : *ops) {
      std::visit([&](const auto& fields) { take(fields.key); }, op);
    }
  }
  if (!is_one_group) {
    done(Status(Code::kInvalidArgument, "the keys live in several groups: give them one {tag}"), {},
         {});
    return;
  }
  std::string body;
  encode(Command(command), body);
  propose<Txn>(group, body, options, std::move(done));
}

void Api::get_many(const GetMany& query, const ReadOptions& options, DoneOf<GetMany> done) {
  if (Status status = validate(Query(query)); !status.ok()) {
    done(status, {}, {});
    return;
  }
  std::map<GroupId, GetMany> parts;
  std::vector<std::pair<GroupId, size_t>> places;   // of each key: its group, its number there
  places.reserve(query.keys.size());
  for (const std::string_view key : query.keys) {
    const GroupId group = group_of(key);
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
  const std::vector<GroupId> groups = groups_of(query.range);
  if (groups.size() == 1) {
    ask_one<Scan>(groups.front(), Query(query), options, std::move(done));
    return;
  }
  auto all = std::make_shared<Gathered>(groups.size());
  Scan asked = query;
  asked.range = {};   // its views end with the call
  all->finish = [asked, done = std::move(done)](Gathered& it) mutable {
    std::vector<Page> pages(it.answers.size());
    for (size_t at = 0; at < pages.size() && it.failure.ok(); ++at) {
      (void)decode_part(it.answers[at], pages[at], it.failure);
    }
    done(it.failure, it.failure.ok() ? merge_pages(asked, std::move(pages)) : Page{}, it.origin);
  };
  for (size_t at = 0; at < groups.size(); ++at) {
    gather(proposer_, Query(query), options, all, {at, groups[at]});
  }
}

void Api::stats(const Stats& query, const ReadOptions& options, DoneOf<Stats> done) {
  auto join = std::make_shared<Join<Stats>>();
  join->done = std::move(done);
  join->left = proposer_.groups();
  std::string body;
  encode(Query(query), body);
  for (uint32_t number = 1; number <= proposer_.groups(); ++number) {
    ask<Stats>(GroupId(number), body, options,
               [join](const Status& status, const Usage& usage, const Origin& origin) {
                 join->on_part(status, usage, origin);
               });
  }
}

void Api::changes(GroupId group, const Changes& query, const ReadOptions& options,
                  DoneOf<Changes> done) {
  ask_one<Changes>(group, Query(query), options, std::move(done));
}

template <class Verb>
void Api::ask_one(GroupId group, const Query& query, const ReadOptions& options,
                  DoneOf<Verb> done) {
  std::string body;
  encode(query, body);
  ask<Verb>(group, body, options, std::move(done));
}

std::vector<GroupId> Api::groups_of(const Range& range) const {
  if (has_whole_tag(range.begin) && range.end == prefix_end(range.begin)) {
    return {group_of(range.begin)};
  }
  std::vector<GroupId> groups;
  for (uint32_t number = 1; number <= proposer_.groups(); ++number) {
    groups.emplace_back(number);
  }
  return groups;
}

}  // namespace quorate::service::kv
