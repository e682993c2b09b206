// SPDX-License-Identifier: Apache-2.0
#include "service/kv/commands.h"

#include <algorithm>

#include "base/codec.h"
#include "base/limits.h"
#include "service/verb/codec.h"

// The pairs are static and not in an unnamed namespace: the templates of fields.h find them by
// their arguments, and that way of looking does not see into one.
namespace quorate::service::kv {

// A list of strings decodes into two words per item, whatever little its bytes are.
static constexpr size_t kItemBytesMin = 1;

// --- Fields, in pairs ------------------------------------------------------------------------

static void write_fields(Writer& writer, const Lifetime& lifetime) {
  write_enum(writer, lifetime.kind());
  if (lifetime.kind() >= Lifetime::Kind::kFor) {
    write_signed(writer, lifetime.micros());
  }
}

static void read_fields(Reader& reader, Lifetime& lifetime) {
  Lifetime::Kind kind{};
  read_enum(reader, Lifetime::Kind::kUntil, kind);
  lifetime = {kind, kind >= Lifetime::Kind::kFor ? read_signed(reader) : 0};
}

static void write_fields(Writer& writer, const Condition& condition) {
  write_enum(writer, condition.kind);
  if (condition.kind == Condition::Kind::kValue) {
    writer.bytes(condition.value);
  } else if (condition.kind >= Condition::Kind::kVersion) {
    writer.varint(condition.number);
  }
}

static void read_fields(Reader& reader, Condition& condition) {
  read_enum(reader, Condition::Kind::kPresentNoHash, condition.kind);
  if (condition.kind == Condition::Kind::kValue) {
    condition.value = reader.bytes();
  } else if (condition.kind >= Condition::Kind::kVersion) {
    condition.number = reader.varint();
  }
}

static void write_fields(Writer& writer, const Get& get) {
  writer.id(get.keyspace);
  writer.bytes(get.key);
  writer.boolean(get.with_value);
}

static void read_fields(Reader& reader, Get& get) {
  get.keyspace = reader.id<KeyspaceId>();
  get.key = reader.bytes();
  get.with_value = reader.boolean();
}

static void write_fields(Writer& writer, const Put& put) {
  writer.id(put.keyspace);
  writer.bytes(put.key);
  writer.bytes(put.value);
  write_fields(writer, put.lifetime);
  write_fields(writer, put.condition);
  writer.boolean(put.with_previous);
}

void read_fields(Reader& reader, Put& put) {
  put.keyspace = reader.id<KeyspaceId>();
  put.key = reader.bytes();
  put.value = reader.bytes();
  read_fields(reader, put.lifetime);
  read_fields(reader, put.condition);
  put.with_previous = reader.boolean();
}

static void write_fields(Writer& writer, const Delete& command) {
  writer.id(command.keyspace);
  writer.bytes(command.key);
  write_fields(writer, command.condition);
  writer.boolean(command.with_previous);
}

static void read_fields(Reader& reader, Delete& command) {
  command.keyspace = reader.id<KeyspaceId>();
  command.key = reader.bytes();
  read_fields(reader, command.condition);
  command.with_previous = reader.boolean();
}

static void write_fields(Writer& writer, const Touch& touch) {
  writer.id(touch.keyspace);
  writer.bytes(touch.key);
  write_fields(writer, touch.lifetime);
  write_enum(writer, touch.when);
}

static void read_fields(Reader& reader, Touch& touch) {
  touch.keyspace = reader.id<KeyspaceId>();
  touch.key = reader.bytes();
  read_fields(reader, touch.lifetime);
  read_enum(reader, Touch::When::kIfNoHash, touch.when);
}

static void write_fields(Writer& writer, const Increment& increment) {
  writer.id(increment.keyspace);
  writer.bytes(increment.key);
  write_signed(writer, increment.delta);
  write_fields(writer, increment.lifetime);
}

static void read_fields(Reader& reader, Increment& increment) {
  increment.keyspace = reader.id<KeyspaceId>();
  increment.key = reader.bytes();
  increment.delta = read_signed(reader);
  read_fields(reader, increment.lifetime);
}

static void write_fields(Writer& writer, const Append& append) {
  writer.id(append.keyspace);
  writer.bytes(append.key);
  writer.bytes(append.value);
}

static void read_fields(Reader& reader, Append& append) {
  append.keyspace = reader.id<KeyspaceId>();
  append.key = reader.bytes();
  append.value = reader.bytes();
}

static void write_fields(Writer& writer, const SetRange& command) {
  writer.id(command.keyspace);
  writer.bytes(command.key);
  writer.varint(command.offset);
  writer.bytes(command.value);
}

static void read_fields(Reader& reader, SetRange& command) {
  command.keyspace = reader.id<KeyspaceId>();
  command.key = reader.bytes();
  command.offset = reader.varint();
  command.value = reader.bytes();
}

static void write_fields(Writer& writer, const Copy& command) {
  writer.id(command.keyspace);
  writer.bytes(command.key);
  writer.bytes(command.target);
  writer.boolean(command.moves);
  writer.boolean(command.if_absent);
}

static void read_fields(Reader& reader, Copy& command) {
  command.keyspace = reader.id<KeyspaceId>();
  command.key = reader.bytes();
  command.target = reader.bytes();
  command.moves = reader.boolean();
  command.if_absent = reader.boolean();
}

static void write_fields(Writer& writer, const AddDecimal& command) {
  writer.id(command.keyspace);
  writer.bytes(command.key);
  writer.bytes(command.delta);
}

static void read_fields(Reader& reader, AddDecimal& command) {
  command.keyspace = reader.id<KeyspaceId>();
  command.key = reader.bytes();
  command.delta = reader.bytes();
}

static void write_keys(Writer& writer, const std::vector<std::string_view>& keys) {
  writer.varint(keys.size());
  for (const std::string_view key : keys) {
    writer.bytes(key);
  }
}

// Over the limit the count is kept out of memory, and validate() never sees it.
static size_t read_count(Reader& reader) {
  const uint64_t count = reader.count(kItemBytesMin);
  return count > limits::kBatchItemsMax ? static_cast<size_t>(reader.fail())
                                        : static_cast<size_t>(count);
}

static void read_keys(Reader& reader, std::vector<std::string_view>& keys) {
  keys.resize(read_count(reader));
  for (std::string_view& key : keys) {
    key = reader.bytes();
  }
}

// Most batches have one lifetime for all; then it stands once.
static void write_fields(Writer& writer, const PutMany& command) {
  const Lifetime common = command.items.empty() ? Lifetime() : command.items.front().lifetime;
  const bool is_common = std::all_of(command.items.begin(), command.items.end(),
                                     [&](const auto& item) { return item.lifetime == common; });
  writer.id(command.keyspace);
  writer.boolean(command.if_all_absent);
  writer.boolean(is_common);
  if (is_common) {
    write_fields(writer, common);
  }
  writer.varint(command.items.size());
  for (const PutMany::Item& item : command.items) {
    writer.bytes(item.key);
    writer.bytes(item.value);
    if (!is_common) {
      write_fields(writer, item.lifetime);
    }
  }
}

static void read_fields(Reader& reader, PutMany& command) {
  command.keyspace = reader.id<KeyspaceId>();
  command.if_all_absent = reader.boolean();
  const bool is_common = reader.boolean();
  Lifetime common;
  if (is_common) {
    read_fields(reader, common);
  }
  command.items.resize(read_count(reader));
  for (PutMany::Item& item : command.items) {
    item.key = reader.bytes();
    item.value = reader.bytes();
    item.lifetime = common;
    if (!is_common) {
      read_fields(reader, item.lifetime);
    }
  }
}

// HashRead and HashWrite.
template <class T>
requires requires(const T& it) { it.kVerbMax; }
static void write_fields(Writer& writer, const T& command) {
  writer.id(command.keyspace);
  writer.bytes(command.key);
  write_enum(writer, command.verb);
  write_keys(writer, command.words);
}

template <class T>
requires requires(const T& it) { it.kVerbMax; }
static void read_fields(Reader& reader, T& command) {
  command.keyspace = reader.id<KeyspaceId>();
  command.key = reader.bytes();
  read_enum(reader, T::kVerbMax, command.verb);
  read_keys(reader, command.words);
}

static void write_fields(Writer& writer, const DeleteMany& command) {
  writer.id(command.keyspace);
  write_keys(writer, command.keys);
}

static void read_fields(Reader& reader, DeleteMany& command) {
  command.keyspace = reader.id<KeyspaceId>();
  read_keys(reader, command.keys);
}

static void write_fields(Writer& writer, const TouchMany& command) {
  writer.id(command.keyspace);
  write_fields(writer, command.lifetime);
  write_keys(writer, command.keys);
}

static void read_fields(Reader& reader, TouchMany& command) {
  command.keyspace = reader.id<KeyspaceId>();
  read_fields(reader, command.lifetime);
  read_keys(reader, command.keys);
}

static void write_fields(Writer& writer, const Range& range) {
  writer.bytes(range.begin);
  writer.bytes(range.end);
}

static void read_fields(Reader& reader, Range& range) {
  range.begin = reader.bytes();
  range.end = reader.bytes();
}

static void write_fields(Writer& writer, const DeleteRange& command) {
  writer.id(command.keyspace);
  write_fields(writer, command.range);
  writer.varint(command.limit);
}

static void read_fields(Reader& reader, DeleteRange& command) {
  command.keyspace = reader.id<KeyspaceId>();
  read_fields(reader, command.range);
  command.limit = reader.varint();
}

static void write_fields(Writer& writer, const Compare& compare) {
  writer.bytes(compare.key);
  write_enum(writer, compare.what);
  write_enum(writer, compare.relation);
  if (compare.what == Compare::What::kValue) {
    writer.bytes(compare.value);
  } else {
    writer.varint(compare.number);
  }
}

static void read_fields(Reader& reader, Compare& compare) {
  compare.key = reader.bytes();
  read_enum(reader, Compare::What::kValue, compare.what);
  read_enum(reader, Compare::Relation::kGreater, compare.relation);
  if (compare.what == Compare::What::kValue) {
    compare.value = reader.bytes();
  } else {
    compare.number = reader.varint();
  }
}

static void write_ops(Writer& writer, const std::vector<Txn::Op>& ops) {
  writer.varint(ops.size());
  for (const Txn::Op& op : ops) {
    write_variant(writer, op);
  }
}

static void read_ops(Reader& reader, std::vector<Txn::Op>& ops) {
  for (size_t left = read_count(reader); left > 0 && reader.ok(); --left) {
    read_variant(reader, ops.emplace_back());
  }
}

static void write_fields(Writer& writer, const Txn& txn) {
  writer.id(txn.keyspace);
  writer.varint(txn.compares.size());
  for (const Compare& compare : txn.compares) {
    write_fields(writer, compare);
  }
  write_ops(writer, txn.then);
  write_ops(writer, txn.otherwise);
}

static void read_fields(Reader& reader, Txn& txn) {
  txn.keyspace = reader.id<KeyspaceId>();
  for (size_t left = read_count(reader); left > 0 && reader.ok(); --left) {
    read_fields(reader, txn.compares.emplace_back());
  }
  read_ops(reader, txn.then);
  read_ops(reader, txn.otherwise);
}

static void write_fields(Writer& writer, const RateLimit& command) {
  writer.id(command.keyspace);
  writer.bytes(command.name);
  writer.varint(command.burst);
  writer.varint(command.tokens);
  write_signed(writer, command.period.micros());
  writer.varint(command.cost);
}

static void read_fields(Reader& reader, RateLimit& command) {
  command.keyspace = reader.id<KeyspaceId>();
  command.name = reader.bytes();
  command.burst = reader.varint();
  command.tokens = reader.varint();
  const int64_t micros = read_signed(reader);
  const int64_t most = limits::kTtlMillisMax * 1'000;
  command.period = Duration::micros(std::clamp<int64_t>(micros, -1, most));
  command.cost = reader.varint();
}

static void write_fields(Writer& writer, const ExpireDue& command) {
  writer.stamp(command.through);
  writer.varint(command.limit);
}

static void read_fields(Reader& reader, ExpireDue& command) {
  command.through = reader.stamp();
  command.limit = reader.varint();
}

static void write_fields(Writer& writer, const SetKeyspace& command) {
  writer.id(command.keyspace);
  writer.varint(command.revision);
  writer.varint(command.keys_max);
  writer.varint(command.bytes_max);
}

static void read_fields(Reader& reader, SetKeyspace& command) {
  command.keyspace = reader.id<KeyspaceId>();
  command.revision = reader.varint();
  command.keys_max = reader.varint();
  command.bytes_max = reader.varint();
}

static void write_fields(Writer& writer, const SetCompression& command) {
  writer.id(command.keyspace);
  writer.varint(command.revision);
  writer.varint(command.above);
}

static void read_fields(Reader& reader, SetCompression& command) {
  command.keyspace = reader.id<KeyspaceId>();
  command.revision = reader.varint();
  command.above = reader.varint();
}

static void write_fields(Writer& writer, const DropKeyspace& of) { writer.id(of.keyspace); }
static void read_fields(Reader& reader, DropKeyspace& of) { of.keyspace = reader.id<KeyspaceId>(); }

static void write_fields(Writer& writer, const CreateIndex& command) {
  writer.id(command.keyspace);
  writer.bytes(command.index);
  writer.bytes(command.path);
  writer.boolean(command.unique);
}

static void read_fields(Reader& reader, CreateIndex& command) {
  command.keyspace = reader.id<KeyspaceId>();
  command.index = reader.bytes();
  command.path = reader.bytes();
  command.unique = reader.boolean();
}

static void write_fields(Writer& writer, const DropIndex& command) {
  writer.id(command.keyspace);
  writer.bytes(command.index);
}

static void read_fields(Reader& reader, DropIndex& command) {
  command.keyspace = reader.id<KeyspaceId>();
  command.index = reader.bytes();
}

static void write_fields(Writer& writer, const Fenced& command) {
  write_fields(writer, command.fence);
  write_variant(writer, command.op);
}

static void read_fields(Reader& reader, Fenced& command) {
  read_fields(reader, command.fence);
  read_variant(reader, command.op);
}

static void write_fields(Writer& writer, const Tend& command) { writer.varint(command.limit); }
static void read_fields(Reader& reader, Tend& command) { command.limit = reader.varint(); }

static void write_fields(Writer& writer, const GetMany& query) {
  writer.id(query.keyspace);
  writer.boolean(query.with_values);
  write_keys(writer, query.keys);
}

static void read_fields(Reader& reader, GetMany& query) {
  query.keyspace = reader.id<KeyspaceId>();
  query.with_values = reader.boolean();
  read_keys(reader, query.keys);
}

static void write_fields(Writer& writer, const Scan& scan) {
  writer.id(scan.keyspace);
  write_fields(writer, scan.range);
  writer.boolean(scan.backwards);
  writer.boolean(scan.with_values);
  writer.varint(scan.limit);
  writer.varint(scan.bytes_max);
}

static void read_fields(Reader& reader, Scan& scan) {
  scan.keyspace = reader.id<KeyspaceId>();
  read_fields(reader, scan.range);
  scan.backwards = reader.boolean();
  scan.with_values = reader.boolean();
  scan.limit = reader.varint();
  scan.bytes_max = reader.varint();
}

static void write_fields(Writer& writer, const Changes& query) {
  writer.id(query.keyspace);
  writer.bytes(query.prefix);
  writer.id(query.after);
  writer.varint(query.limit);
}

static void read_fields(Reader& reader, Changes& query) {
  query.keyspace = reader.id<KeyspaceId>();
  query.prefix = reader.bytes();
  query.after = reader.id<Revision>();
  query.limit = reader.varint();
}

static void write_fields(Writer& writer, const Stats& query) { writer.id(query.keyspace); }
static void read_fields(Reader& reader, Stats& query) { query.keyspace = reader.id<KeyspaceId>(); }

static void write_fields(Writer& writer, const Dump& query) {
  writer.bytes(query.after);
  writer.boolean(query.is_behind);
  writer.boolean(query.is_done);
  writer.id(query.since);
  writer.varint(query.bytes_max);
}

static void read_fields(Reader& reader, Dump& query) {
  query.after = reader.bytes();
  query.is_behind = reader.boolean();
  query.is_done = reader.boolean();
  query.since = reader.id<Revision>();
  query.bytes_max = reader.varint();
}

static void write_fields(Writer& writer, const Find& query) {
  writer.id(query.keyspace);
  writer.bytes(query.index);
  writer.bytes(query.begin);
  writer.bytes(query.end);
  writer.bytes(query.after);
  writer.boolean(query.backwards);
  writer.boolean(query.with_values);
  writer.varint(query.limit);
  writer.varint(query.bytes_max);
}

static void read_fields(Reader& reader, Find& query) {
  query.keyspace = reader.id<KeyspaceId>();
  query.index = reader.bytes();
  query.begin = reader.bytes();
  query.end = reader.bytes();
  query.after = reader.bytes();
  query.backwards = reader.boolean();
  query.with_values = reader.boolean();
  query.limit = reader.varint();
  query.bytes_max = reader.varint();
}

static void write_fields(Writer& writer, const Trail& query) {
  writer.id(query.after);
  writer.varint(query.limit);
  writer.varint(query.bytes_max);
}

static void read_fields(Reader& reader, Trail& query) {
  query.after = reader.id<Revision>();
  query.limit = reader.varint();
  query.bytes_max = reader.varint();
}

static void write_fields(Writer& writer, const Indexes& query) { writer.id(query.keyspace); }
static void read_fields(Reader& reader, Indexes& of) { of.keyspace = reader.id<KeyspaceId>(); }

// The tag that write_variant() would put before an alternative.
template <size_t kAt, class Variant, class T>
static void write_tag(Writer& writer, const T&) {
  static_assert(std::is_same_v<std::variant_alternative_t<kAt, Variant>, T>);
  writer.u8(static_cast<uint8_t>(kVerbVersion << kVerbBits | kAt));
}

template <class Variant>
static void encode_first(const std::variant_alternative_t<0, Variant>& verb, std::string& out) {
  Writer writer(out);
  write_tag<0, Variant>(writer, verb);
  write_fields(writer, verb);
}

void encode(const Command& command, std::string& out) { encode_verb(command, out); }
void encode(const Query& query, std::string& out) { encode_verb(query, out); }
void encode(const Put& put, std::string& out) { encode_first<Command>(put, out); }
void encode(const Get& get, std::string& out) { encode_first<Query>(get, out); }

void begin_fenced(const Fence& fence, std::string& out) {
  Writer writer(out);
  write_tag<std::variant_size_v<Command> - 1, Command>(writer, Fenced{});
  write_fields(writer, fence);
}

Result<Command> decode_command(std::string_view bytes) { return decode_verb<Command>(bytes); }
Result<Query> decode_query(std::string_view bytes) { return decode_verb<Query>(bytes); }

}  // namespace quorate::service::kv
