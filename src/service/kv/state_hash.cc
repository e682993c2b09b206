// SPDX-License-Identifier: Apache-2.0
// Hashes: one value each, whose image tells what it is (service/value/hash_value.h), so that ends,
// copies, watches, quotas, backups and conditions are those of any other value. A change of a field
// is decided here and writes the image anew.
#include <charconv>

#include "base/assert.h"
#include "base/limits.h"
#include "service/decimal.h"
#include "service/kv/state.h"
#include "service/value/glob.h"

namespace quorate::service::kv {
namespace {

bool is_other_kind(const Item& item) { return item.found() && !is_hash(item.value); }

std::vector<HashField> pairs_of(const std::vector<std::string_view>& words) {
  std::vector<HashField> fields;
  fields.reserve(words.size() / 2);
  for (size_t at = 0; at + 1 < words.size(); at += 2) {
    fields.push_back({words[at], words[at + 1]});
  }
  return fields;
}

Hashed::Entry entry_of(std::string_view image, std::string_view name) {
  const std::optional<std::string_view> value = find_hash_field(image, name);
  return {.value = value.value_or(std::string_view()), .is_there = value.has_value()};
}

// The views of the answer are of the image.
Hashed read(const HashRead& query, std::string_view image) {
  Hashed hashed;
  HashReader reader(image);
  hashed.number = static_cast<int64_t>(reader.size());
  switch (query.verb) {
    case HashRead::Verb::kFields:
      for (const std::string_view name : query.words) {
        hashed.entries.push_back(entry_of(image, name));
      }
      break;
    case HashRead::Verb::kAll:
      hashed.entries.reserve(reader.size());
      for (HashField field; reader.next(field);) {
        hashed.entries.push_back({field.name, field.value, true});
      }
      break;
    case HashRead::Verb::kMatching:
      for (HashField field; reader.next(field);) {
        if (matches(query.words[0], field.name)) {
          hashed.entries.push_back({field.name, field.value, true});
        }
      }
      break;
    case HashRead::Verb::kCount: break;
  }
  return hashed;
}

}  // namespace

// For commands that only make sense of strings.
Status State::look_no_hash(Spot& spot, Stamp at) {
  look(spot, at);
  return is_hash(spot.item.value) ? wrong_kind() : Status();
}

// Of what grew byte by byte nobody has asked yet whether it looks like a hash.
Answer State::write_grown(Spot& spot, Stamp at) {
  if (is_hash(scratch_)) {
    return Status(Code::kInvalidArgument, "the value begins as the image of a hash, and is none");
  }
  RETURN_IF_ERROR(check_write(spot, scratch_, at));
  return write(spot, scratch_, spot.item.expires);
}

Answer State::run(const HashWrite& command, const Moment& moment) {
  using Verb = HashWrite::Verb;
  Spot spot(command.keyspace, command.key);
  look(spot, moment.at);
  if (is_other_kind(spot.item)) {
    return wrong_kind();
  }
  switch (command.verb) {
    case Verb::kPut: return put_fields(spot, pairs_of(command.words), moment.at);
    case Verb::kPutIfAbsent:
      return find_hash_field(spot.item.value, command.words[0]).has_value()
                 ? Answer(Hashed{})
                 : put_fields(spot, pairs_of(command.words), moment.at);
    case Verb::kDelete: return erase_fields(spot, command.words, moment.at);
    case Verb::kAdd: return add_whole(spot, command, moment.at);
    case Verb::kAddDecimal: return add_decimal(spot, command, moment.at);
  }
  return wrong_kind();
}

Answer State::put_fields(Spot& spot, const std::vector<HashField>& fields, Stamp at) {
  const size_t added = put_hash_fields(spot.item.value, fields, scratch_);
  if (scratch_.size() > limits::kKvHashBytesMax) {
    return Status(Code::kTooLarge, "the hash would be over its limit");
  }
  RETURN_IF_ERROR(check_write(spot, scratch_, at));
  const Written written = write(spot, scratch_, spot.item.expires);
  return Hashed{.number = static_cast<int64_t>(added), .revision = written.revision};
}

Answer State::erase_fields(Spot& spot, const std::vector<std::string_view>& names, Stamp at) {
  const size_t erased = erase_hash_fields(spot.item.value, names, scratch_);
  if (erased == 0) {
    return Hashed{};
  }
  if (scratch_.empty()) {
    remove(spot, Change::Kind::kDelete);
  } else {
    RETURN_IF_ERROR(check_write(spot, scratch_, at));
    write(spot, scratch_, spot.item.expires);
  }
  return Hashed{.number = static_cast<int64_t>(erased), .revision = revision_};
}

Answer State::add_whole(Spot& spot, const HashWrite& command, Stamp at) {
  const std::string_view name = command.words[0];
  const std::optional<std::string_view> before = find_hash_field(spot.item.value, name);
  int64_t value = 0;
  int64_t delta = 0;
  const bool is_number = parse_whole(command.words[1], delta);
  ASSERT(is_number, "validate() has read it");
  if (before.has_value() && !parse_whole(*before, value)) {
    return Status(Code::kPreconditionFailed, "hash value is not an integer");
  }
  if (__builtin_add_overflow(value, delta, &value)) {
    return Status(Code::kPreconditionFailed, "increment or decrement would overflow");
  }
  char text[24];
  const auto end = std::to_chars(text, text + sizeof(text), value).ptr;
  Answer answer =
      put_fields(spot, {{name, std::string_view(text, static_cast<size_t>(end - text))}}, at);
  if (auto* const hashed = std::get_if<Hashed>(&answer)) {
    hashed->number = value;
  }
  return answer;
}

Answer State::add_decimal(Spot& spot, const HashWrite& command, Stamp at) {
  const std::string_view name = command.words[0];
  const std::optional<std::string_view> before = find_hash_field(spot.item.value, name);
  Decimal value;
  Decimal delta;
  const bool is_number = Decimal::parse(command.words[1], delta);
  ASSERT(is_number, "validate() has read it");
  if (before.has_value() && !Decimal::parse(*before, value)) {
    return Status(Code::kPreconditionFailed, "hash value is not a float");
  }
  if (!value.add(delta)) {
    return Status(Code::kPreconditionFailed, "increment would produce NaN or Infinity");
  }
  const std::string_view text = kept_.emplace_back(value.text());
  Answer answer = put_fields(spot, {{name, text}}, at);
  if (auto* const hashed = std::get_if<Hashed>(&answer)) {
    hashed->entries.push_back({.value = text});
  }
  return answer;
}

OpAnswer State::read_hash(const HashRead& query, Stamp now) const {
  const KeyRecord record = find_key(query.keyspace, query.key, now);
  if (record.is_packed || is_other_kind(record.item)) {
    return wrong_kind();
  }
  return kv::read(query, record.item.value);
}

Answer State::answer(const HashRead& query, Stamp now) const {
  OpAnswer answer = read_hash(query, now);
  if (auto* const hashed = std::get_if<Hashed>(&answer)) {
    return std::move(*hashed);
  }
  return std::get<Status>(std::move(answer));
}

// A read between the writes of a transaction, which move what lies in the table.
Answer State::run(const HashRead& query, const Moment& moment) {
  const KeyRecord record = find_key(query.keyspace, query.key, moment.at);
  if (record.is_packed || is_other_kind(record.item)) {
    return wrong_kind();
  }
  Item kept;
  RETURN_IF_ERROR(keep_item(record.item, kept));
  return kv::read(query, kept.value);
}

}  // namespace quorate::service::kv
