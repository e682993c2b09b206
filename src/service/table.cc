// SPDX-License-Identifier: Apache-2.0
#include "service/table.h"

#include <algorithm>

#include "base/assert.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/mutant.h"

namespace quorate::service {
namespace {

constexpr char kAbsent = 0;
constexpr char kPresent = 1;
// Keys per piece: those that are new since freeze() are passed over and give no bytes.
constexpr size_t kStepsMax = 2'000;
// The longest header of an entry of an image: two varints.
constexpr size_t kImageHeaderBytesMax = 20;
// Room for a machine's own header before the greatest value.
constexpr uint64_t kRecordBytesMax = limits::kValueBytesMax + 64 * 1024;

}  // namespace

// Walks the live entries and the set-aside together, in the order of keys.
class Table::Source final : public SnapshotSource {
 public:
  explicit Source(Table& table) : table_(table) {}
  ~Source() override { table_.freeze_.reset(); }

  bool next(size_t bytes_target, std::string& out) override {
    if (ended_) {
      return false;
    }
    const size_t end = out.size() + bytes_target;
    Freeze& freeze = *table_.freeze_;
    Cursor live = table_.at_or_after(freeze.cursor);
    if (freeze.has_cursor && live.valid() && live.key() == freeze.cursor) {
      live.next();
    }
    Cursor aside = freeze.aside->first();
    for (size_t steps = 0; steps < kStepsMax && out.size() < end; ++steps) {
      if (!live.valid() && !aside.valid()) {
        finish(out);
        break;
      }
      step(live, aside, out);
    }
    drop_written(freeze);
    return !ended_;
  }

 private:
  // One key. What was set aside stands for the entry that lives under the same key by now.
  void step(Cursor& live, Cursor& aside, std::string& out) {
    Freeze& freeze = *table_.freeze_;
    const bool from_aside = aside.valid() && (!live.valid() || aside.key() <= live.key());
    const std::string_view key = from_aside ? aside.key() : live.key();
    if (!from_aside) {
      write(key, live.record(), out);
    } else if (aside.record().front() == kPresent) {
      write(key, aside.record().substr(1), out);
    }
    freeze.cursor.assign(key);
    freeze.has_cursor = true;
    if (live.valid() && live.key() == key) {
      live.next();
    }
    if (from_aside) {
      aside.next();
    }
  }

  void write(std::string_view key, std::string_view record, std::string& out) {
    Writer writer(out);
    writer.varint(key.size() + 1);
    writer.varint(record.size());
    writer.raw(key);
    writer.raw(record);
    ++written_;
    digest_ += digest_of(key, record);
  }

  void finish(std::string& out) {
    const Freeze& freeze = *table_.freeze_;
    if (!MUTANT(snapshot_misses_changed_entry)) {
      ASSERT(written_ == freeze.count && digest_ == freeze.digest,
             "the image is the table as it was at freeze()");
    }
    Writer writer(out);
    writer.varint(0);
    writer.varint(written_);
    writer.u64(digest_);
    ended_ = true;
  }

  static void drop_written(Freeze& freeze) {
    for (Cursor first = freeze.aside->first();
         first.valid() && freeze.has_cursor && first.key() <= freeze.cursor;
         first = freeze.aside->first()) {
      freeze.aside->erase(std::string(first.key()));
    }
  }

  Table& table_;
  uint64_t written_ = 0;
  uint64_t digest_ = 0;
  bool ended_ = false;
};

Table::Table(uint64_t seed) : hash_(entries_, seed), order_(entries_) {}

Table::~Table() { ASSERT(freeze_ == nullptr, "a snapshot source outlives its table"); }

uint64_t Table::digest_of(std::string_view key, std::string_view record) {
  return hash64(record, hash64(key));
}

Table::Place Table::locate(std::string_view key) const {
  ASSERT(key.size() <= kKeyBytesMax);
  Place place;
  place.key_ = key;
  place.hash_ = hash_.hash(key);
  place.ref_ = hash_.find(place.hash_, key);
  return place;
}

std::string_view Table::record(const Place& place) const {
  ASSERT(place.found());
  return entries_.record(place.ref_);
}

std::optional<std::string_view> Table::find(std::string_view key) const {
  const Place place = locate(key);
  if (!place.found()) {
    return std::nullopt;
  }
  return entries_.record(place.ref_);
}

void Table::put(const Place& place, const RecordParts& record) {
  ASSERT(record.size() <= kRecordBytesMax, "the machine limits what it keeps");
  keep_old(place);
  if (place.found()) {
    replace(place, record);
  } else {
    insert(place, record);
  }
}

void Table::insert(const Place& place, const RecordParts& record) {
  const Ref ref = entries_.make(place.key_, record);
  hash_.insert(place.hash_, ref);
  order_.insert(ref);
  digest_ += digest_of(place.key_, entries_.record(ref));
  bytes_ += place.key_.size() + record.size();
}

void Table::replace(const Place& place, const RecordParts& record) {
  const std::string_view old = entries_.record(place.ref_);
  const uint64_t key_hash = hash64(place.key_);   // as in digest_of(), once for both
  digest_ -= hash64(old, key_hash);
  bytes_ -= old.size();
  Ref ref = place.ref_;
  if (!entries_.assign(ref, record)) {
    ref = entries_.make(place.key_, record);
    hash_.replace(place.hash_, place.ref_, ref);
    order_.replace(place.ref_, ref);
    entries_.free(place.ref_);
  }
  digest_ += hash64(entries_.record(ref), key_hash);
  bytes_ += record.size();
}

void Table::erase(const Place& place) {
  ASSERT(place.found());
  keep_old(place);
  const std::string_view old = entries_.record(place.ref_);
  digest_ -= digest_of(place.key_, old);
  bytes_ -= place.key_.size() + old.size();
  hash_.erase(place.hash_, place.ref_);
  order_.erase(place.ref_);
  entries_.free(place.ref_);
}

bool Table::erase(std::string_view key) {
  const Place place = locate(key);
  if (place.found()) {
    erase(place);
  }
  return place.found();
}

// The first change since freeze() of a key that the image has not reached.
void Table::keep_old(const Place& place) {
  if (freeze_ == nullptr || (freeze_->has_cursor && place.key_ <= freeze_->cursor) ||
      MUTANT(snapshot_misses_changed_entry)) {
    return;
  }
  const Place aside = freeze_->aside->locate(place.key_);
  if (aside.found()) {
    return;
  }
  const std::string_view mark(place.found() ? &kPresent : &kAbsent, 1);
  freeze_->aside->put(aside, {mark, place.found() ? record(place) : std::string_view()});
}

void Table::clear() {
  ASSERT(freeze_ == nullptr, "cleared under a snapshot source");
  order_.clear();
  hash_.clear();
  entries_.clear();
  bytes_ = 0;
  digest_ = 0;
}

size_t Table::memory_bytes() const {
  return entries_.memory_bytes() + hash_.memory_bytes() + order_.memory_bytes() +
         (freeze_ == nullptr ? 0 : freeze_->aside->memory_bytes());
}

std::unique_ptr<SnapshotSource> Table::freeze() {
  ASSERT(freeze_ == nullptr, "one freeze at a time");
  freeze_ = std::make_unique<Freeze>();
  freeze_->aside = std::make_unique<Table>();
  freeze_->count = size();
  freeze_->digest = digest_;
  return std::make_unique<Source>(*this);
}

void Table::restore_begin() {
  clear();
  restore_ = {};
}

Status Table::restore_piece(std::string_view piece, RestoreObserver* observer) {
  if (restore_.ended) {
    return piece.empty() ? Status::success() : restore_fail("bytes after the end of a table");
  }
  restore_.observer = observer;
  restore_.pending.append(piece);
  return restore_entries();
}

Status Table::restore_entries() {
  Reader reader(restore_.pending);
  size_t used = 0;
  Status failure;
  while (restore_one(reader, failure)) {
    used = restore_.pending.size() - reader.left();
  }
  if (!failure.ok()) {
    return failure;
  }
  restore_.pending.erase(0, used);
  return Status::success();
}

// False when the bytes at hand hold no further whole entry, or on a failure.
bool Table::restore_one(Reader& reader, Status& failure) {
  if (reader.left() == 0) {
    return false;
  }
  const size_t left = reader.left();
  const uint64_t key_bytes_and_one = reader.varint();
  if (key_bytes_and_one == 0) {
    const uint64_t count = reader.varint();
    const uint64_t digest = reader.u64();
    if (!reader.ok()) {
      return false;
    }
    restore_.ended = true;
    if (count != restore_.count || digest != digest_ || reader.left() != 0) {
      failure = restore_fail("a table does not match its digest");
    }
    return failure.ok();
  }
  const uint64_t record_bytes = reader.varint();
  if (!reader.ok()) {
    if (left >= kImageHeaderBytesMax) {
      failure = restore_fail("a table entry has no readable header");
    }
    return false;
  }
  if (key_bytes_and_one > kKeyBytesMax + 1 || record_bytes > kRecordBytesMax) {
    failure = restore_fail("a table entry is over its limit");
    return false;
  }
  const std::string_view key = reader.raw(static_cast<size_t>(key_bytes_and_one - 1));
  const std::string_view record = reader.raw(static_cast<size_t>(record_bytes));
  if (!reader.ok()) {
    return false;
  }
  if (restore_.count > 0 && key <= restore_.last_key) {
    failure = restore_fail("table entries out of order");
    return false;
  }
  if (restore_.observer != nullptr && !restore_.observer->on_restored(key, record)) {
    failure = restore_fail("a table entry that its machine would not have written");
    return false;
  }
  put(key, record);
  restore_.last_key.assign(key);
  ++restore_.count;
  return true;
}

Status Table::restore_end() {
  if (!restore_.ended) {
    return restore_fail("a table is cut short");
  }
  restore_ = {};
  return Status::success();
}

Status Table::restore_fail(std::string message) {
  restore_begin();
  return Status(Code::kCorrupted, std::move(message));
}

void Table::check_invariants() const {
  hash_.check_invariants();
  order_.check_invariants();
  entries_.check_invariants();
  ASSERT(hash_.size() == order_.size());
  uint64_t digest = 0;
  uint64_t bytes = 0;
  for (Cursor cursor = first(); cursor.valid(); cursor.next()) {
    ASSERT(locate(cursor.key()).found());
    digest += digest_of(cursor.key(), cursor.record());
    bytes += cursor.key().size() + cursor.record().size();
  }
  ASSERT(digest == digest_ && bytes == bytes_);
}

}  // namespace quorate::service
