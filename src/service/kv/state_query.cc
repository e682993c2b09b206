// SPDX-License-Identifier: Apache-2.0
// Queries. A walk looks at no more records than a page may hold, also at those that have ended.
#include <algorithm>

#include "base/assert.h"
#include "base/limits.h"
#include "base/mutant.h"
#include "service/kv/state.h"

namespace quorate::service::kv {
namespace {

constexpr size_t kItemOverheadBytes = 32;   // numbers of an item in an answer

bool has_ended(const Item& item, Stamp now) {
  return item.expires <= now && !MUTANT(ended_keys_are_found);
}

uint64_t bounded(uint64_t asked, uint64_t most) {
  return asked == 0 ? most : std::min(asked, most);
}

}  // namespace

Item State::get(KeyspaceId keyspace, std::string_view key, Stamp now) const {
  const TableKey table_key(keyspace, RecordKind::kKey, key);
  const std::optional<std::string_view> record = table_.find(table_key.view());
  if (!record.has_value()) {
    return {};
  }
  const Item item = item_of(*record);
  return has_ended(item, now) ? Item() : item;
}

Answer State::query(const Query& query, Stamp now) const {
  return std::visit([&](const auto& fields) { return answer(fields, now); }, query);
}

Answer State::answer(const Get& query, Stamp now) const {
  Item item = get(query.keyspace, query.key, now);
  if (!item.found()) {
    return Status(Code::kNotFound, "no such key");
  }
  if (!query.with_value) {
    item.value = {};
  }
  return Found{item};
}

Answer State::answer(const GetMany& query, Stamp now) const {
  Items answer;
  answer.items.reserve(query.keys.size());
  size_t bytes = 0;
  for (const std::string_view key : query.keys) {
    Item item = get(query.keyspace, key, now);
    if (!query.with_values) {
      item.value = {};
    }
    bytes += item.value.size() + kItemOverheadBytes;
    if (bytes > limits::kRequestBytesMax) {
      return Status(Code::kTooLarge, "the answer would be over the limit of a request");
    }
    answer.items.push_back(item);
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
    Item item = item_of(at.record());
    if (!has_ended(item, now)) {
      item.key = page.resume;
      item.value = scan.with_values ? item.value : std::string_view();
      bytes += item.key.size() + item.value.size() + kItemOverheadBytes;
      page.items.push_back(item);
    }
    scan.backwards ? at.previous() : at.next();
  }
  page.resume = {};
  return page;
}

Answer State::answer(const Changes& query, Stamp) const {
  if (query.after < history_.begin()) {
    return Status(Code::kPreconditionFailed,
                  "compacted: the history begins after revision " +
                      std::to_string(history_.begin().value()));
  }
  if (query.after > revision_) {
    return Status(Code::kInvalidArgument, "the group has not reached that revision");
  }
  ChangeList list;
  history_.read(query, list);
  list.revision = revision_;
  return list;
}

Answer State::answer(const Stats& query, Stamp) const {
  Usage usage;
  const auto found = usage_.find(query.keyspace);
  if (found != usage_.end()) {
    usage.keys = found->second.keys;
    usage.bytes = found->second.bytes;
  }
  usage.expiring = due_.size();
  usage.revision = revision_;
  usage.history_begin = history_.begin();
  return usage;
}

}  // namespace quorate::service::kv
