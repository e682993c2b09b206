// SPDX-License-Identifier: Apache-2.0
// Queries. A walk looks at no more records than a page may hold, also at those that have ended.
#include <algorithm>
#include <set>
#include <utility>

#include "base/assert.h"
#include "base/limits.h"
#include "base/mutant.h"
#include "service/kv/state.h"

namespace quorate::service::kv {
namespace {

constexpr size_t kItemOverheadBytes = 32;   // numbers of an item in an answer
constexpr size_t kUnpackedMax = 1;          // that get() leaves for who still reads the last

bool has_ended(const Item& item, Stamp now) {
  return item.expires <= now && !MUTANT(ended_keys_are_found);
}

uint64_t bounded(uint64_t asked, uint64_t most) {
  return asked == 0 ? most : std::min(asked, most);
}

}  // namespace

KeyRecord State::find_key(KeyspaceId keyspace, std::string_view key, Stamp now) const {
  const TableKey table_key(keyspace, RecordKind::kKey, key);
  const std::optional<std::string_view> bytes = table_.find(table_key.view());
  if (!bytes.has_value()) {
    return {};
  }
  const KeyRecord record = key_record_of(*bytes);
  return has_ended(record.item, now) ? KeyRecord() : record;
}

Item State::shown(const KeyRecord& record, bool with_value) const {
  if (!with_value) {
    Item item = record.item;
    item.value = {};
    return item;
  }
  return record.is_packed ? opened(record, unpacked_.emplace_back()) : record.item;
}

Item State::get(KeyspaceId keyspace, std::string_view key, Stamp now) const {
  while (unpacked_.size() > kUnpackedMax) {
    unpacked_.pop_front();
  }
  return shown(find_key(keyspace, key, now), true);
}

Item State::get_more(const Get& query, Stamp now) const {
  return shown(find_key(query.keyspace, query.key, now), query.with_value);
}

Answer State::query(const Query& query, Stamp now) const {
  unpacked_.clear();
  return std::visit([&](const auto& fields) { return answer(fields, now); }, query);
}

Answer State::answer(const Get& query, Stamp now) const {
  const Item item = shown(find_key(query.keyspace, query.key, now), query.with_value);
  return item.found() ? Answer(Found{item}) : Status(Code::kNotFound, "no such key");
}

Answer State::answer(const GetMany& query, Stamp now) const {
  Items answer;
  answer.items.reserve(query.keys.size());
  size_t bytes = 0;
  for (const std::string_view key : query.keys) {
    const KeyRecord record = find_key(query.keyspace, key, now);
    bytes += (query.with_values ? record.item.value_bytes : 0) + kItemOverheadBytes;
    if (bytes > limits::kRequestBytesMax) {
      return Status(Code::kTooLarge, "the answer would be over the limit of a request");
    }
    answer.items.push_back(shown(record, query.with_values));
  }
  return answer;
}

Answer State::answer(const Scan& scan, Stamp now) const {
  const TableKey begin(scan.keyspace, RecordKind::kKey, scan.range.begin);
  const TableKey end(scan.keyspace, RecordKind::kKey, scan.range.end);
  const std::string behind = scan.range.end.empty() ? prefix_end(begin.prefix()) : "";
  const std::string_view limit_key = scan.range.end.empty() ? behind : end.view();
  const uint64_t items_max = bounded(scan.limit, limits::kScanItemsMax);
  const uint64_t bytes_max = bounded(scan.bytes_max, limits::kScanBytesMax);
  Page page;
  page.revision = revision_;
  size_t bytes = 0;
  size_t looked_at = 0;
  Table::Cursor at = scan.backwards ? table_.before(limit_key) : table_.at_or_after(begin.view());
  while (at.valid() && at.key() >= begin.view() && at.key() < limit_key) {
    if (page.items.size() == items_max || bytes >= bytes_max ||
        looked_at == limits::kScanItemsMax) {
      return page;
    }
    ++looked_at;
    page.resume = at.key().substr(begin.prefix().size());
    const KeyRecord record = key_record_of(at.record());
    if (!has_ended(record.item, now)) {
      Item item = shown(record, scan.with_values);
      item.key = page.resume;
      bytes += item.key.size() + item.value.size() + kItemOverheadBytes;
      page.items.push_back(item);
    }
    scan.backwards ? at.previous() : at.next();
  }
  page.resume = {};
  return page;
}

Answer State::answer(const Changes& query, Stamp) const {
  if (query.after < history_.begin() && !MUTANT(watch_ignores_compaction)) {
    return Status(Code::kPreconditionFailed,
                  "compacted: the history begins after revision " +
                      std::to_string(history_.begin().value()));
  }
  if (query.after > revision_) {
    return Status(Code::kInvalidArgument, "the group has not reached that revision");
  }
  ChangeList list;
  history_.read(query, list, unpacked_);
  list.through = MUTANT(watch_skips_what_is_left) ? revision_ : list.through;
  list.revision = revision_;
  return list;
}

Answer State::answer(const Trail& query, Stamp now) const {
  if (query.after < history_.begin()) {
    return Status(Code::kPreconditionFailed, "compacted: the history begins after revision " +
                                                 std::to_string(history_.begin().value()));
  }
  if (query.after > revision_) {
    return Status(Code::kInvalidArgument, "the group has not reached that revision");
  }
  const uint64_t most = bounded(query.limit, limits::kScanItemsMax);
  const uint64_t bytes_max = bounded(query.bytes_max, limits::kScanBytesMax);
  Trailed trailed{.through = query.after, .revision = revision_, .at = now};
  size_t bytes = 0;
  history_.visit(query.after, [&](History::Entry& entry) {
    if (trailed.entries.size() == most || bytes >= bytes_max) {
      return false;
    }
    History::open(entry, unpacked_);
    entry.change.previous = {};
    entry.change.had_previous = false;
    trailed.through = entry.change.revision;
    bytes += entry.change.key.size() + entry.change.value.size() + kItemOverheadBytes;
    trailed.entries.push_back({entry.keyspace, entry.change, entry.at, entry.expires});
    return true;
  });
  return trailed;
}

// What changed after dumped.since, as it is now; false if not all of it fitted.
bool State::dump_changes(Stamp now, size_t bytes_max, Dumped& dumped) const {
  std::set<std::pair<KeyspaceId, std::string_view>> seen;
  size_t bytes = 0;
  bool fitted = true;
  history_.visit(dumped.since, [&](const History::Entry& entry) {
    if (bytes >= bytes_max) {
      fitted = false;
      return false;
    }
    const Change& change = entry.change;
    dumped.since = change.revision;
    if (change.kind <= Change::Kind::kTouch && seen.emplace(entry.keyspace, change.key).second) {
      const Item item = shown(find_key(entry.keyspace, change.key, now), true);
      bytes += change.key.size() + item.value.size() + kItemOverheadBytes;
      dumped.entries.push_back({entry.keyspace, change.key, item});
    }
    return true;
  });
  return fitted;
}

Answer State::answer(const Dump& query, Stamp now) const {
  Dumped dumped;
  dumped.after = query.after;
  dumped.is_done = query.is_done;
  dumped.revision = revision_;
  dumped.since = query.is_behind ? query.since : revision_;
  dumped.at = now;
  if (dumped.since < history_.begin() || dumped.since > revision_) {
    return Status(Code::kPreconditionFailed, "compacted: more was changed than the history holds");
  }
  const uint64_t bytes_max = bounded(query.bytes_max, limits::kScanBytesMax);
  if (!dump_changes(now, bytes_max, dumped) || query.is_done) {
    return dumped;
  }
  size_t bytes = 0;
  size_t looked_at = 0;
  Table::Cursor at = query.is_behind ? table_.at_or_after(query.after) : table_.first();
  if (query.is_behind && at.valid() && at.key() == query.after) {
    at.next();
  }
  for (; at.valid() && bytes < bytes_max && looked_at < limits::kScanItemsMax; at.next()) {
    ++looked_at;
    dumped.after = at.key();
    const TableKeyParts parts = parts_of(at.key());
    if (parts.kind != RecordKind::kKey) {
      continue;
    }
    const KeyRecord record = key_record_of(at.record());
    if (!has_ended(record.item, now)) {
      const Item item = shown(record, true);
      bytes += parts.name.size() + item.value.size() + kItemOverheadBytes;
      dumped.entries.push_back({parts.keyspace, parts.name, item});
    }
  }
  dumped.is_done = !at.valid();
  return dumped;
}

Usage State::usage(KeyspaceId keyspace) const {
  Usage usage;
  const auto found = spaces_.find(keyspace);
  if (found != spaces_.end()) {
    usage.keys = found->second.keys;
    usage.bytes = found->second.bytes;
    usage.saved_bytes = found->second.saved;
    usage.keys_max = found->second.record.keys_max;
    usage.bytes_max = found->second.record.bytes_max;
  }
  return usage;
}

Answer State::answer(const Stats& query, Stamp) const {
  Usage usage = this->usage(query.keyspace);
  usage.expiring = due_.size();
  usage.revision = revision_;
  usage.history_begin = history_.begin();
  return usage;
}

// ---- ahead of apply() ---------------------------------------------------------------------------

void State::prefetch_self(int step) const {
  if (step == 0) {
    fetch_ahead(this, sizeof(*this));
  } else if (step == 1) {
    table_.prefetch_roots();
    history_.prefetch_block();
    if (!spaces_.empty()) {
      fetch_ahead(&*spaces_.begin());
    }
  } else {
    table_.prefetch_ends();
    history_.prefetch_end();
  }
}

uint64_t State::prefetch(std::string_view bytes) const {
  KeyspaceId keyspace;
  std::string_view key;
  return decode_key(bytes, keyspace, key)
             ? table_.prefetch(TableKey(keyspace, RecordKind::kKey, key).view())
             : 0;
}

}  // namespace quorate::service::kv
