// SPDX-License-Identifier: Apache-2.0
#include "service/kv/answers.h"

#include "base/limits.h"
#include "service/value/ordered.h"
#include "service/verb/codec.h"

// Static and not in an unnamed namespace, as in commands.cc.
namespace quorate::service::kv {

// Which parts of an item follow; most have no end and many are absent.
static constexpr uint8_t kHasItem = 1;
static constexpr uint8_t kHasEnd = 2;

static void write_fields(Writer& writer, const Item& item) {
  const bool has_end = item.expires != Stamp::never();
  writer.u8(static_cast<uint8_t>((item.found() ? kHasItem : 0) | (has_end ? kHasEnd : 0)));
  if (!item.found()) {
    return;
  }
  writer.bytes(item.key);
  writer.bytes(item.value);
  writer.varint(item.version);
  writer.id(item.created);
  writer.id(item.modified);
  writer.varint(item.value_bytes);
  if (has_end) {
    writer.stamp(item.expires);
  }
}

static void read_fields(Reader& reader, Item& item) {
  const uint8_t parts = reader.u8();
  if (parts > (kHasItem | kHasEnd)) {
    reader.fail();
  }
  if ((parts & kHasItem) == 0) {
    return;
  }
  item.key = reader.bytes();
  item.value = reader.bytes();
  item.version = reader.varint();
  item.created = reader.id<Revision>();
  item.modified = reader.id<Revision>();
  item.value_bytes = reader.varint();
  if ((parts & kHasEnd) != 0) {
    item.expires = reader.stamp();
  }
}

static void write_fields(Writer& writer, const Found& found) { write_fields(writer, found.item); }
static void read_fields(Reader& reader, Found& found) { read_fields(reader, found.item); }

static void write_fields(Writer& writer, const Written& written) {
  writer.id(written.revision);
  writer.varint(written.version);
  writer.varint(written.value_bytes);
  write_fields(writer, written.previous);
}

static void read_fields(Reader& reader, Written& written) {
  written.revision = reader.id<Revision>();
  written.version = reader.varint();
  written.value_bytes = reader.varint();
  read_fields(reader, written.previous);
}

static void write_fields(Writer& writer, const Removed& removed) {
  writer.varint(removed.count);
  writer.id(removed.revision);
  writer.boolean(removed.more);
  write_fields(writer, removed.previous);
}

static void read_fields(Reader& reader, Removed& removed) {
  removed.count = reader.varint();
  removed.revision = reader.id<Revision>();
  removed.more = reader.boolean();
  read_fields(reader, removed.previous);
}

static void write_fields(Writer& writer, const Touched& touched) {
  writer.varint(touched.count);
  writer.stamp(touched.expires);
}

static void read_fields(Reader& reader, Touched& touched) {
  touched.count = reader.varint();
  touched.expires = reader.stamp();
}

static void write_fields(Writer& writer, const Counted& counted) {
  write_signed(writer, counted.value);
  writer.id(counted.revision);
  writer.varint(counted.version);
}

static void read_fields(Reader& reader, Counted& counted) {
  counted.value = read_signed(reader);
  counted.revision = reader.id<Revision>();
  counted.version = reader.varint();
}

static void write_fields(Writer& writer, const Stored& stored) {
  writer.varint(stored.count);
  writer.id(stored.revision);
}

static void read_fields(Reader& reader, Stored& stored) {
  stored.count = reader.varint();
  stored.revision = reader.id<Revision>();
}

static void write_fields(Writer& writer, const Hashed::Entry& entry) {
  writer.boolean(entry.is_there);
  writer.bytes(entry.name);
  writer.bytes(entry.value);
}

static void read_fields(Reader& reader, Hashed::Entry& entry) {
  entry.is_there = reader.boolean();
  entry.name = reader.bytes();
  entry.value = reader.bytes();
}

template <class T>
static void write_list(Writer& writer, const std::vector<T>& list) {
  writer.varint(list.size());
  for (const T& element : list) {
    write_fields(writer, element);
  }
}

// The list grows as its elements are read, so that it is never longer than the bytes allow.
template <class T>
static void read_list(Reader& reader, std::vector<T>& list) {
  for (uint64_t left = reader.count(1); left > 0 && reader.ok(); --left) {
    read_fields(reader, list.emplace_back());
  }
}

static void write_fields(Writer& writer, const Hashed& hashed) {
  write_signed(writer, hashed.number);
  writer.id(hashed.revision);
  write_list(writer, hashed.entries);
}

static void read_fields(Reader& reader, Hashed& hashed) {
  hashed.number = read_signed(reader);
  hashed.revision = reader.id<Revision>();
  read_list(reader, hashed.entries);
}

static void write_fields(Writer& writer, const Items& items) { write_list(writer, items.items); }
static void read_fields(Reader& reader, Items& items) { read_list(reader, items.items); }

static void write_fields(Writer& writer, const Page& page) {
  write_list(writer, page.items);
  writer.bytes(page.resume);
  writer.id(page.revision);
}

static void read_fields(Reader& reader, Page& page) {
  read_list(reader, page.items);
  page.resume = reader.bytes();
  page.revision = reader.id<Revision>();
}

static void write_op_answer(Writer& writer, const OpAnswer& answer) {
  const Status* const refusal = std::get_if<Status>(&answer);
  encode_status(refusal == nullptr ? Status() : *refusal, writer.out());
  if (refusal == nullptr) {
    write_variant(writer, answer);
  }
}

static void read_op_answer(Reader& reader, OpAnswer& answer) {
  Status status = decode_status(reader);
  if (status.ok()) {
    read_variant(reader, answer);
  } else {
    answer = std::move(status);
  }
}

static void write_fields(Writer& writer, const TxnDone& done) {
  writer.boolean(done.held);
  writer.id(done.revision);
  writer.varint(done.answers.size());
  for (const OpAnswer& answer : done.answers) {
    write_op_answer(writer, answer);
  }
}

static void read_fields(Reader& reader, TxnDone& done) {
  done.held = reader.boolean();
  done.revision = reader.id<Revision>();
  for (uint64_t left = reader.count(1); left > 0 && reader.ok(); --left) {
    read_op_answer(reader, done.answers.emplace_back());
  }
}

static void write_fields(Writer& writer, const Rated& rated) {
  writer.boolean(rated.allowed);
  writer.varint(rated.tokens_left);
  write_signed(writer, rated.retry_after.micros());
  write_signed(writer, rated.full_after.micros());
}

// The longest wait that a Duration can hold.
static Duration read_wait(Reader& reader) {
  const int64_t micros = read_signed(reader);
  if (micros < 0 || micros > INT64_MAX / 1'000) {
    reader.fail();
    return {};
  }
  return Duration::micros(micros);
}

static void read_fields(Reader& reader, Rated& rated) {
  rated.allowed = reader.boolean();
  rated.tokens_left = reader.varint();
  rated.retry_after = read_wait(reader);
  rated.full_after = read_wait(reader);
}

static void write_fields(Writer& writer, const Change& change) {
  write_enum(writer, change.kind);
  writer.id(change.revision);
  writer.bytes(change.key);
  writer.bytes(change.value);
  writer.varint(change.version);
  writer.boolean(change.had_previous);
  if (change.had_previous) {
    writer.bytes(change.previous);
  }
}

static void read_fields(Reader& reader, Change& change) {
  read_enum(reader, Change::Kind::kUnindex, change.kind);
  change.revision = reader.id<Revision>();
  change.key = reader.bytes();
  change.value = reader.bytes();
  change.version = reader.varint();
  change.had_previous = reader.boolean();
  if (change.had_previous) {
    change.previous = reader.bytes();
  }
}

static void write_fields(Writer& writer, const ChangeList& list) {
  write_list(writer, list.changes);
  writer.id(list.through);
  writer.id(list.revision);
}

static void read_fields(Reader& reader, ChangeList& list) {
  read_list(reader, list.changes);
  list.through = reader.id<Revision>();
  list.revision = reader.id<Revision>();
}

static void write_fields(Writer& writer, const Usage& usage) {
  writer.varint(usage.keys);
  writer.varint(usage.bytes);
  writer.varint(usage.expiring);
  writer.id(usage.revision);
  writer.id(usage.history_begin);
  writer.varint(usage.keys_max);
  writer.varint(usage.bytes_max);
  writer.varint(usage.saved_bytes);
}

static void read_fields(Reader& reader, Usage& usage) {
  usage.keys = reader.varint();
  usage.bytes = reader.varint();
  usage.expiring = reader.varint();
  usage.revision = reader.id<Revision>();
  usage.history_begin = reader.id<Revision>();
  usage.keys_max = reader.varint();
  usage.bytes_max = reader.varint();
  usage.saved_bytes = reader.varint();
}

static void write_fields(Writer& writer, const Expired& expired) { writer.varint(expired.count); }
static void read_fields(Reader& reader, Expired& expired) { expired.count = reader.varint(); }

static void write_fields(Writer& writer, const Settled& settled) { writer.varint(settled.steps); }
static void read_fields(Reader& reader, Settled& settled) { settled.steps = reader.varint(); }

static void write_fields(Writer& writer, const Dumped::Entry& entry) {
  writer.id(entry.keyspace);
  writer.bytes(entry.key);
  write_fields(writer, entry.item);
}

static void read_fields(Reader& reader, Dumped::Entry& entry) {
  entry.keyspace = reader.id<KeyspaceId>();
  entry.key = reader.bytes();
  read_fields(reader, entry.item);
}

static void write_fields(Writer& writer, const Dumped& dumped) {
  write_list(writer, dumped.entries);
  writer.bytes(dumped.after);
  writer.boolean(dumped.is_done);
  writer.id(dumped.since);
  writer.id(dumped.revision);
  writer.stamp(dumped.at);
}

static void read_fields(Reader& reader, Dumped& dumped) {
  read_list(reader, dumped.entries);
  dumped.after = reader.bytes();
  dumped.is_done = reader.boolean();
  dumped.since = reader.id<Revision>();
  dumped.revision = reader.id<Revision>();
  dumped.at = reader.stamp();
}

static void write_fields(Writer& writer, const Trailed::Entry& entry) {
  writer.id(entry.keyspace);
  write_fields(writer, entry.change);
  writer.stamp(entry.at);
  writer.stamp(entry.expires);
}

static void read_fields(Reader& reader, Trailed::Entry& entry) {
  entry.keyspace = reader.id<KeyspaceId>();
  read_fields(reader, entry.change);
  entry.at = reader.stamp();
  entry.expires = reader.stamp();
}

static void write_fields(Writer& writer, const Trailed& trailed) {
  write_list(writer, trailed.entries);
  writer.id(trailed.through);
  writer.id(trailed.revision);
  writer.stamp(trailed.at);
}

static void read_fields(Reader& reader, Trailed& trailed) {
  read_list(reader, trailed.entries);
  trailed.through = reader.id<Revision>();
  trailed.revision = reader.id<Revision>();
  trailed.at = reader.stamp();
}

static void write_fields(Writer& writer, const IndexList::Index& index) {
  writer.bytes(index.name);
  writer.bytes(index.path);
  writer.boolean(index.unique);
  write_enum(writer, index.stage);
  writer.varint(index.entries);
  writer.bytes(index.cursor);
}

static void read_fields(Reader& reader, IndexList::Index& index) {
  index.name = reader.bytes();
  index.path = reader.bytes();
  index.unique = reader.boolean();
  read_enum(reader, IndexStage::kDropping, index.stage);
  index.entries = reader.varint();
  index.cursor = reader.bytes();
}

static void write_fields(Writer& writer, const IndexList& list) {
  write_list(writer, list.indexes);
}
static void read_fields(Reader& reader, IndexList& list) { read_list(reader, list.indexes); }

// The key stands in the place already.
static void write_fields(Writer& writer, const Hit& hit) {
  Item item = hit.item;
  item.key = {};
  writer.bytes(hit.place);
  write_fields(writer, item);
}

static void read_fields(Reader& reader, Hit& hit) {
  hit.place = reader.bytes();
  read_fields(reader, hit.item);
  const size_t ordered = ordered_size(hit.place);
  if (ordered == 0 || !hit.item.found()) {
    reader.fail();
  }
  hit.item.key = hit.place.substr(ordered);
}

static void write_fields(Writer& writer, const Hits& hits) {
  write_list(writer, hits.hits);
  writer.bytes(hits.resume);
  writer.id(hits.revision);
}

static void read_fields(Reader& reader, Hits& hits) {
  read_list(reader, hits.hits);
  hits.resume = reader.bytes();
  hits.revision = reader.id<Revision>();
}

void encode(const Answer& answer, std::string& out) { encode_said(answer, out); }
Answer decode_answer(std::string_view bytes) { return decode_said<Answer>(bytes); }

}  // namespace quorate::service::kv
