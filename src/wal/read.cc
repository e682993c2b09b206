// SPDX-License-Identifier: Apache-2.0
// Reading back: from the batches that are still in memory, or from the segments, verified.
#include <algorithm>

#include "base/assert.h"
#include "base/crc.h"
#include "wal/log.h"

namespace quorate::wal {
namespace {

// Most items are shorter; a longer one is read again whole.
constexpr size_t kItemGuessBytes = 512;
// u32 checksum, u16 size.
constexpr size_t kItemPrefixBytes = 6;

size_t item_size(std::string_view bytes) {
  return kItemPrefixBytes + (static_cast<uint8_t>(bytes[4]) |
                             static_cast<size_t>(static_cast<uint8_t>(bytes[5])) << 8);
}

// The item at `at`, from one copy of the directory.
bool read_item(env::File& file, uint64_t at, uint32_t seed, Item& item) {
  std::string bytes(kItemGuessBytes, '\0');
  auto got = file.read(at, bytes);
  if (!got.ok() || *got < kItemPrefixBytes) {
    return false;
  }
  if (const size_t size = item_size(bytes); size > *got) {
    bytes.resize(size);
    got = file.read(at, bytes);
    if (!got.ok()) {
      return false;
    }
  }
  bytes.resize(std::min(*got, bytes.size()));
  return decode_item(bytes, seed, item) > 0;
}

}  // namespace

Log::Where Log::where_is(uint64_t batch) {
  Where where;
  if (open_->batch.number() == batch) {
    where.batch = &open_->batch;
  } else if (flying_ != nullptr && flying_->batch.number() == batch) {
    where.batch = &flying_->batch;
  } else {
    for (const auto& sealed : sealed_) {
      where.batch = sealed->batch.number() == batch ? &sealed->batch : where.batch;
    }
  }
  where.segment = where.batch == nullptr ? segments_.of_batch(batch) : nullptr;
  return where;
}

Status Log::load_item(const Where& where, const Run& run, Item& item) {
  const Status bad = {Code::kCorrupted, "an entry's place in the log cannot be read"};
  if (where.batch != nullptr) {
    return where.batch->read_item(run.item, item) > 0 ? Status::success() : bad;
  }
  if (where.segment == nullptr) {
    return bad;
  }
  env::File& file = *where.segment->file;
  const Place& place = where.segment->places[run.batch - where.segment->first_batch];
  const uint32_t seed = seed_of(log_, run.batch);
  const uint64_t first_copy = uint64_t{place.at} + kHeaderBytes + run.item;
  const uint64_t other_copy = first_copy + place.directory_bytes + place.payload_bytes;
  const bool good =
      read_item(file, first_copy, seed, item) || read_item(file, other_copy, seed, item);
  return good ? Status::success() : bad;
}

// Payload bytes of a batch, as many of them as can be read; not verified.
Result<Buffer> Log::load_payloads(const Where& where, uint64_t batch, uint32_t offset,
                                  uint32_t bytes) {
  std::string out(bytes, '\0');
  if (bytes > 0) {
    const Place& place = where.segment->places[batch - where.segment->first_batch];
    const uint64_t at = uint64_t{place.at} + kHeaderBytes + place.directory_bytes + offset;
    const auto got = where.segment->file->read(at, out);
    RETURN_IF_ERROR(got);
    out.resize(*got);
  }
  return Buffer::take(std::move(out));
}

// The records of `item` from the first to before the second of `range`, payloads by one read.
Status Log::load_records(const Where& where, uint64_t batch, const Item& item,
                         std::pair<size_t, size_t> range, std::vector<Record>& out) {
  const auto add = [&](size_t i, Buffer payload) {
    const ItemRecord& record = item.records[i];
    out.push_back({item.first + i, record.term, record.kind, record.at, std::move(payload)});
  };
  if (where.batch != nullptr) {
    for (size_t i = range.first; i < range.second; ++i) {
      add(i, where.batch->read_payload(item.records[i].offset, item.records[i].bytes));
    }
    return Status::success();
  }
  const ItemRecord& front = item.records[range.first];
  const ItemRecord& back = item.records[range.second - 1];
  const auto whole =
      load_payloads(where, batch, front.offset, back.offset + back.bytes - front.offset);
  const Buffer bytes = whole.ok() ? *whole : Buffer();
  for (size_t i = range.first; i < range.second; ++i) {
    const ItemRecord& record = item.records[i];
    const size_t skip = record.offset - front.offset;
    if (skip + record.bytes > bytes.size() ||
        crc32c(bytes.view().substr(skip, record.bytes)) != record.crc) {
      return {Code::kCorrupted, "the payload of an entry fails its checksum"};
    }
    add(i, record.bytes == 0 ? Buffer() : bytes.slice(skip, record.bytes));
  }
  return Status::success();
}

Status Log::read_run(PinnedGroup& group, std::pair<Index, Index> range, size_t& bytes_left,
                     std::vector<Record>& out) {
  const Run run = group.log.runs()[group.log.run_of(range.first)];
  if (run.hole()) {
    return {Code::kCorrupted, "a hole in the log"};
  }
  const Where where = where_is(run.batch);
  Item item;
  Status status = load_item(where, run, item);
  if (!status.ok()) {
    lose_entry(group, range.first);
    return status;
  }
  ASSERT(item.group == group.log.group() && item.first <= range.first &&
             range.first - item.first < item.records.size(),
         "the index leads to another's entry");
  const size_t begin = range.first - item.first;
  const size_t end_max = std::min<size_t>(range.second - item.first + 1, item.records.size());
  size_t end = begin;
  while (end < end_max) {
    const bool alone = out.empty() && end == begin;  // one at least, however large
    if (!alone && item.records[end].bytes > bytes_left) {
      break;
    }
    bytes_left -= std::min<size_t>(bytes_left, item.records[end].bytes);
    ++end;
  }
  if (end == begin) {
    bytes_left = 0;
    return Status::success();
  }
  const size_t before = out.size();
  status = load_records(where, run.batch, item, {begin, end}, out);
  if (!status.ok()) {
    lose_entry(group, item.first + (begin + out.size() - before));
  }
  return status;
}

// What cannot be read is a hole from now on, and the log says so.
void Log::lose_entry(PinnedGroup& group, Index index) {
  group.log.put(index, index, Run{});
  if (failed_.ok()) {
    restate(group);
  }
}

Result<std::vector<Record>> Log::read(GroupId id, Index first, Index last, size_t bytes_max) {
  PinnedGroup* group = find(id);
  if (group == nullptr || first <= group->log.compacted()) {
    return Status{Code::kNotFound, "the entry was compacted away"};
  }
  last = std::min(last, group->log.last());
  if (first > last) {
    return Status{Code::kInvalidArgument, "the entry is beyond the end of the log"};
  }
  std::vector<Record> records;
  size_t bytes_left = bytes_max;
  for (Index at = first; at <= last; at = first + records.size()) {
    const Index run_end = group->log.end_of(group->log.run_of(at));
    const Status status = read_run(*group, {at, std::min(last, run_end)}, bytes_left, records);
    if (!status.ok()) {
      if (records.empty()) {
        return status;
      }
      break;  // what is before the damage is good
    }
    if (bytes_left == 0) {
      break;
    }
  }
  return records;
}

}  // namespace quorate::wal
