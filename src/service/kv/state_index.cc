// SPDX-License-Identifier: Apache-2.0
// Secondary indexes: entries that follow every change of a key, and their slow beginnings and ends.
//
// An entry is a record of its own without bytes: (number of the index, value in order, key). It is
// written with the key's own change, whatever stage the building has reached, so the steps that
// build only add what is not there yet and need no lock against writers.
#include <algorithm>
#include <set>
#include <utility>

#include "base/assert.h"
#include "base/limits.h"
#include "base/mutant.h"
#include "service/kv/state.h"
#include "service/value/json_field.h"
#include "service/value/ordered.h"

namespace quorate::service::kv {
namespace {

using Stage = IndexStage;

// So many bytes of a value cost a step of their own while an index is built.
constexpr uint64_t kBytesPerStep = 1'024;

bool is_kept(Stage stage) {
  return (stage == Stage::kBuilding && !MUTANT(index_builds_without_writers)) ||
         stage == Stage::kReady;
}

bool needs_work(Stage stage) {
  return stage == Stage::kBuilding || stage == Stage::kClearing || stage == Stage::kDropping;
}

// The value at the index's path, in order; empty if there is none.
std::string ordered_of(const IndexRecord& index, std::string_view value) {
  std::string ordered;
  (void)append_ordered(find_field(value, index.path), ordered);
  return ordered;
}

Status not_unique(std::string_view name) {
  return Status(Code::kAlreadyExists,
                "another key has this value, and the index '" + std::string(name) + "' is unique");
}

}  // namespace

State::Space* State::indexed_space(KeyspaceId keyspace) {
  const auto found = has_indexes_ ? spaces_.find(keyspace) : spaces_.end();
  return found == spaces_.end() || found->second.indexes.empty() ? nullptr : &found->second;
}

const State::Space* State::indexed_space(KeyspaceId keyspace) const {
  const auto found = has_indexes_ ? spaces_.find(keyspace) : spaces_.end();
  return found == spaces_.end() || found->second.indexes.empty() ? nullptr : &found->second;
}

const State::Index* State::find_index(KeyspaceId keyspace, std::string_view name) const {
  const Space* const space = indexed_space(keyspace);
  if (space == nullptr) {
    return nullptr;
  }
  const auto found = std::find_if(space->indexes.begin(), space->indexes.end(),
                                  [name](const Index& index) { return index.name == name; });
  return found == space->indexes.end() ? nullptr : &*found;
}

// ---- with each change of a key -----------------------------------------------------------------

// Before the table moves what `spot` shows. No value: the key goes.
void State::plan_entries(Spot& spot, std::optional<std::string_view> value) {
  ASSERT(index_changes_.empty());
  Space* const space = indexed_space(spot.keyspace);
  if (space == nullptr) {
    return;
  }
  open(spot);
  for (Index& index : space->indexes) {
    if (!is_kept(index.record.stage)) {
      continue;
    }
    const std::string before =
        spot.item.found() ? ordered_of(index.record, spot.item.value) : std::string();
    const std::string after = value.has_value() ? ordered_of(index.record, *value) : std::string();
    if (before == after) {
      continue;
    }
    const std::string prefix = entry_prefix(spot.keyspace, index.record.number);
    if (!before.empty() && !MUTANT(index_keeps_old_entries)) {
      index_changes_.push_back({&index, prefix + before + std::string(spot.name), false});
    }
    if (!after.empty()) {
      index_changes_.push_back({&index, prefix + after + std::string(spot.name), true});
    }
  }
}

void State::keep_entries() {
  for (const IndexChange& change : index_changes_) {
    if (change.adds) {
      add_entry(*change.index, change.entry);
    } else if (table_.erase(change.entry)) {
      --change.index->entries;
    }
  }
  index_changes_.clear();
}

void State::add_entry(Index& index, const std::string& entry) {
  const Table::Place place = table_.locate(entry);
  if (!place.found()) {
    table_.put(place, {});
    ++index.entries;
  }
}

// Whether a key other than these two has the value; one that has ended has none.
bool State::is_taken(const Taken& wanted, Stamp at) const {
  for (Table::Cursor entry = table_.at_or_after(wanted.prefix);
       entry.valid() && entry.key().starts_with(wanted.prefix); entry.next()) {
    const std::string_view key = entry.key().substr(wanted.prefix.size());
    if (key != wanted.key && key != wanted.besides &&
        find_key(wanted.keyspace, key, at).item.found()) {
      return true;
    }
  }
  return false;
}

// `besides`: a key that gives its value up with the same command.
Status State::check_unique(const Spot& spot, std::string_view value, Stamp at,
                           std::string_view besides) const {
  const Space* const space = indexed_space(spot.keyspace);
  if (space == nullptr || MUTANT(index_lets_twins_in)) {
    return Status::success();
  }
  for (const Index& index : space->indexes) {
    const std::string ordered = index.record.unique && is_kept(index.record.stage)
                                    ? ordered_of(index.record, value)
                                    : std::string();
    if (!ordered.empty() &&
        is_taken({spot.keyspace, entry_prefix(spot.keyspace, index.record.number) + ordered,
                  spot.name, besides},
                 at)) {
      return not_unique(index.name);
    }
  }
  return Status::success();
}

// A batch is held against what is there before it and against itself.
Status State::check_unique(const PutMany& command, Stamp at) const {
  const Space* const space = indexed_space(command.keyspace);
  if (space == nullptr || MUTANT(unique_ignores_batches)) {
    return Status::success();
  }
  for (const Index& index : space->indexes) {
    if (!index.record.unique || !is_kept(index.record.stage)) {
      continue;
    }
    std::map<std::string, std::string_view> owners;
    for (const PutMany::Item& item : command.items) {
      const std::string ordered = ordered_of(index.record, item.value);
      if (ordered.empty()) {
        continue;
      }
      const auto [owner, is_new] = owners.try_emplace(ordered, item.key);
      if ((!is_new && owner->second != item.key) ||
          is_taken({command.keyspace,
                    entry_prefix(command.keyspace, index.record.number) + ordered,
                    item.key,
                    {}},
                   at)) {
        return not_unique(index.name);
      }
    }
  }
  return Status::success();
}

// ---- create, drop ------------------------------------------------------------------------------

Answer State::run(const CreateIndex& command, const Moment&) {
  const auto found = spaces_.find(command.keyspace);
  if (found != spaces_.end() && found->second.record.fate != SpaceRecord::Fate::kLives) {
    return Status(Code::kNotFound, "the keyspace was dropped");
  }
  if (const Index* const index = find_index(command.keyspace, command.index)) {
    const bool is_same = index->record.path == command.path &&
                         index->record.unique == command.unique &&
                         index->record.stage != Stage::kDropping;
    return is_same ? Answer(Settled{})
                   : Status(Code::kAlreadyExists,
                            "there is another index of that name, or it is still being dropped");
  }
  Space& space = spaces_[command.keyspace];
  if (space.indexes.size() == limits::kKvIndexesMax) {
    return Status(Code::kQuotaExceeded,
                  "a keyspace has at most " + std::to_string(limits::kKvIndexesMax) + " indexes");
  }
  Index index;
  index.name = command.index;
  index.record.number = free_number(space);
  index.record.unique = command.unique;
  index.record.path = command.path;
  index.record.stage = space.keys == 0 ? Stage::kReady : Stage::kBuilding;
  put_index(command.keyspace, index);
  if (needs_work(index.record.stage)) {
    tending_.insert(command.keyspace);
  }
  const auto behind = std::find_if(space.indexes.begin(), space.indexes.end(),
                                   [&](const Index& it) { return it.name > index.name; });
  space.indexes.insert(behind, std::move(index));
  has_indexes_ = true;
  note(command.keyspace, {.kind = Change::Kind::kIndex,
                          .key = command.index,
                          .value = command.path,
                          .version = command.unique ? 1u : 0u});
  return Settled{1};
}

// The least that no index of the keyspace has: entries of one that is being dropped keep theirs.
uint16_t State::free_number(const Space& space) {
  for (uint16_t number = 0;; ++number) {
    if (std::none_of(space.indexes.begin(), space.indexes.end(),
                     [number](const Index& it) { return it.record.number == number; })) {
      return number;
    }
  }
}

Answer State::run(const DropIndex& command, const Moment&) {
  Space* const space = indexed_space(command.keyspace);
  if (space != nullptr) {
    for (Index& index : space->indexes) {
      if (index.name == command.index && index.record.stage != Stage::kDropping) {
        index.record.stage = Stage::kDropping;
        put_index(command.keyspace, index);
        tending_.insert(command.keyspace);
        note(command.keyspace, {.kind = Change::Kind::kUnindex, .key = command.index});
        return Settled{1};
      }
    }
  }
  return Settled{};
}

void State::put_index(KeyspaceId keyspace, const Index& index) {
  table_.put(definition_key(keyspace, index.name), encode_index(index.record));
}

// ---- by steps ----------------------------------------------------------------------------------

// True if no index of the keyspace has work left.
bool State::tend_indexes(KeyspaceId keyspace, Stamp at, uint64_t& left) {
  Space* const space = indexed_space(keyspace);
  for (size_t number = 0; space != nullptr && number < space->indexes.size();) {
    Index& index = space->indexes[number];
    if (index.record.stage == Stage::kBuilding && !build(keyspace, index, at, left)) {
      return false;
    }
    const bool goes = index.record.stage == Stage::kDropping;
    if ((goes || index.record.stage == Stage::kClearing) && !clear(keyspace, index, left)) {
      return false;
    }
    if (goes) {
      const bool was_there = table_.erase(definition_key(keyspace, index.name));
      ASSERT(was_there);
      space->indexes.erase(space->indexes.begin() + static_cast<ptrdiff_t>(number));
    } else {
      ++number;
    }
  }
  find_indexes();
  forget_if_empty(keyspace);
  return true;
}

// Adds entries of the keys behind the cursor. True once it is ready, or found to be not unique.
bool State::build(KeyspaceId keyspace, Index& index, Stamp at, uint64_t& left) {
  const std::string prefix = entry_prefix(keyspace, index.record.number);
  const TableKey begin(keyspace, RecordKind::kKey, {});
  while (left > 0) {
    const TableKey behind(keyspace, RecordKind::kKey, index.record.cursor);
    Table::Cursor next = table_.at_or_after(behind.view());
    if (next.valid() && next.key() == behind.view()) {
      next.next();
    }
    if (!next.valid() || !next.key().starts_with(begin.prefix())) {
      index.record.stage = Stage::kReady;
      index.record.cursor.clear();
      break;
    }
    index.record.cursor = next.key().substr(begin.prefix().size());
    std::string unpacked;
    const Item item = opened(key_record_of(next.record()), unpacked);
    left -= std::min(left, 1 + item.value_bytes / kBytesPerStep);
    const std::string ordered = ordered_of(index.record, item.value);
    if (ordered.empty()) {
      continue;
    }
    if (index.record.unique && item.expires > at &&
        is_taken({keyspace, prefix + ordered, index.record.cursor, {}}, at)) {
      index.record.stage = Stage::kClearing;
      break;
    }
    add_entry(index, prefix + ordered + index.record.cursor);
  }
  put_index(keyspace, index);
  return index.record.stage != Stage::kBuilding;
}

// Removes the entries of an index that is not kept any more. True once none is left.
bool State::clear(KeyspaceId keyspace, Index& index, uint64_t& left) {
  const std::string prefix = entry_prefix(keyspace, index.record.number);
  for (; index.entries > 0; --left) {
    if (left == 0) {
      return false;
    }
    const Table::Cursor first = table_.at_or_after(prefix);
    ASSERT(first.valid() && first.key().starts_with(prefix));
    const std::string entry(first.key());
    const bool was_there = table_.erase(entry);
    ASSERT(was_there);
    --index.entries;
  }
  if (index.record.stage == Stage::kClearing) {
    index.record.stage = Stage::kFailed;  // its cursor names the key that was one too many
    put_index(keyspace, index);
  }
  return true;
}

bool State::has_work(const Space& space) {
  return std::any_of(space.indexes.begin(), space.indexes.end(),
                     [](const Index& index) { return needs_work(index.record.stage); });
}

void State::find_indexes() {
  has_indexes_ = std::any_of(spaces_.begin(), spaces_.end(),
                             [](const auto& space) { return !space.second.indexes.empty(); });
}

// ---- queries -----------------------------------------------------------------------------------

Answer State::answer(const Indexes& query, Stamp) const {
  IndexList list;
  if (const Space* const space = indexed_space(query.keyspace)) {
    for (const Index& index : space->indexes) {
      list.indexes.push_back({.name = index.name,
                              .path = index.record.path,
                              .unique = index.record.unique,
                              .stage = index.record.stage,
                              .entries = index.entries,
                              .cursor = index.record.cursor});
    }
  }
  return list;
}

Status State::check_ready(const Index* index) {
  if (index == nullptr || index->record.stage == Stage::kDropping) {
    return Status(Code::kNotFound, "there is no such index");
  }
  if (index->record.stage == Stage::kBuilding) {
    return Status(Code::kPreconditionFailed, "the index is being built");
  }
  return index->record.stage == Stage::kReady
             ? Status::success()
             : Status(Code::kPreconditionFailed, "the index has failed: its values are not unique");
}

Answer State::answer(const Find& query, Stamp now) const {
  const Index* const index = find_index(query.keyspace, query.index);
  RETURN_IF_ERROR(check_ready(index));
  const std::string prefix = entry_prefix(query.keyspace, index->record.number);
  std::string begin = prefix + std::string(query.begin);
  std::string end = query.end.empty() ? prefix_end(prefix) : prefix + std::string(query.end);
  if (!query.after.empty()) {
    (query.backwards ? end : begin) = prefix + std::string(query.after);
  }
  const uint64_t items_max = query.limit == 0
                                 ? limits::kScanItemsMax
                                 : std::min<uint64_t>(query.limit, limits::kScanItemsMax);
  const uint64_t bytes_max = query.bytes_max == 0
                                 ? limits::kScanBytesMax
                                 : std::min<uint64_t>(query.bytes_max, limits::kScanBytesMax);
  Hits hits;
  hits.revision = revision_;
  size_t bytes = 0;
  size_t looked_at = 0;
  Table::Cursor at = query.backwards ? table_.before(end) : table_.at_or_after(begin);
  if (!query.after.empty() && !query.backwards && at.valid() && at.key() == begin) {
    at.next();
  }
  while (at.valid() && at.key() >= begin && at.key() < end) {
    if (hits.hits.size() == items_max || bytes >= bytes_max || looked_at == limits::kScanItemsMax) {
      return hits;
    }
    ++looked_at;
    hits.resume = at.key().substr(prefix.size());
    Hit hit{.place = hits.resume, .item = {}};
    const std::string_view key = hit.place.substr(ordered_size(hit.place));
    const KeyRecord record = find_key(query.keyspace, key, now);
    if (record.item.found()) {
      hit.item = shown(record, query.with_values);
      hit.item.key = key;
      bytes += hit.place.size() + hit.item.value.size();
      hits.hits.push_back(hit);
    }
    query.backwards ? at.previous() : at.next();
  }
  hits.resume = {};
  return hits;
}

// ---- restore, invariants -----------------------------------------------------------------------

bool State::on_restored_index(const TableKeyParts& parts, std::string_view record) {
  if (parts.name.front() == kDefinition) {
    Index index;
    index.name = parts.name.substr(1);
    if (!parse_index(record, index.record)) {
      return false;
    }
    if (needs_work(index.record.stage)) {
      tending_.insert(parts.keyspace);
    }
    spaces_[parts.keyspace].indexes.push_back(std::move(index));
    return true;
  }
  // Definitions stand before entries, so the index of an entry is known.
  EntryName entry;
  if (!parse_entry(parts.name, entry) || !record.empty() || ordered_size(entry.place) == 0) {
    return false;
  }
  Space& space = spaces_[parts.keyspace];
  for (Index& index : space.indexes) {
    if (index.record.number == entry.number) {
      ++index.entries;
      return true;
    }
  }
  return space.record.fate == SpaceRecord::Fate::kIsRemoved;  // in the order of the table
}

void State::check_indexes(KeyspaceId keyspace, const Space& space) const {
  const TableKey begin(keyspace, RecordKind::kKey, {});
  for (const Index& index : space.indexes) {
    const std::string prefix = entry_prefix(keyspace, index.record.number);
    std::set<std::string> expected;
    std::set<std::string> due;  // those that the building has passed
    for (Table::Cursor at = table_.at_or_after(begin.view());
         at.valid() && at.key().starts_with(begin.prefix()); at.next()) {
      std::string unpacked;
      const std::string_view key = at.key().substr(begin.prefix().size());
      const std::string ordered =
          ordered_of(index.record, opened(key_record_of(at.record()), unpacked).value);
      if (!ordered.empty() && is_kept(index.record.stage)) {
        expected.insert(prefix + ordered + std::string(key));
        if (index.record.stage == Stage::kReady || key <= index.record.cursor) {
          due.insert(prefix + ordered + std::string(key));
        }
      }
    }
    uint64_t entries = 0;
    for (Table::Cursor at = table_.at_or_after(prefix); at.valid() && at.key().starts_with(prefix);
         at.next()) {
      ASSERT(!is_kept(index.record.stage) || expected.contains(std::string(at.key())));
      due.erase(std::string(at.key()));
      ++entries;
    }
    ASSERT(due.empty());
    ASSERT(entries == index.entries);
    ASSERT(index.record.stage != Stage::kFailed || entries == 0);
  }
}

}  // namespace quorate::service::kv
