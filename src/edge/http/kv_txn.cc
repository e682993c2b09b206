// SPDX-License-Identifier: Apache-2.0
// The row of transactions: JSON to compares and operations, and their answers back.
#include <boost/json/array.hpp>

#include "edge/http/arguments.h"
#include "edge/http/kv_rows.h"

namespace quorate::edge::http {

namespace json = boost::json;
namespace kv = service::kv;

namespace {

Status wrong(std::string text) { return Status(Code::kInvalidArgument, std::move(text)); }

Result<std::string_view> key_of(const json::object& object, Arena& arena) {
  const Result<std::optional<std::string_view>> key = bytes_field(object, "key", arena);
  RETURN_IF_ERROR(key);
  if (!key->has_value()) {
    return wrong("each compare and each operation needs a key");
  }
  return **key;
}

Result<kv::Lifetime> lifetime_of(const json::object& object, kv::Lifetime unsaid) {
  const Result<std::optional<Duration>> ttl = duration_field(object, "ttl");
  RETURN_IF_ERROR(ttl);
  return ttl->has_value() ? kv::Lifetime::lasting(**ttl) : unsaid;
}

Result<int64_t> delta_of(const json::object& object) {
  const json::value* by = object.if_contains("by");
  if (by == nullptr) {
    return int64_t{1};
  }
  if (by->is_int64()) {
    return by->get_int64();
  }
  return wrong("'by' must be a whole number of 64 bits");
}

// ---- compares ----------------------------------------------------------------------------------

struct RelationRow {
  std::string_view name;
  kv::Compare::Relation value;
};
constexpr RelationRow kRelations[] = {{"=", kv::Compare::Relation::kEqual},
                                      {"!=", kv::Compare::Relation::kNotEqual},
                                      {"<", kv::Compare::Relation::kLess},
                                      {">", kv::Compare::Relation::kGreater}};

Result<kv::Compare::Relation> relation_of(const json::object& object) {
  const Result<std::optional<std::string>> name = text_field(object, "is");
  RETURN_IF_ERROR(name);
  for (const RelationRow& row : kRelations) {
    if (row.name == name->value_or("=")) {
      return row.value;
    }
  }
  return wrong("'is' must be =, !=, < or >");
}

struct NumberRow {
  std::string_view name;
  kv::Compare::What what;
};
constexpr NumberRow kNumbers[] = {{"version", kv::Compare::What::kVersion},
                                  {"created", kv::Compare::What::kCreated},
                                  {"modified", kv::Compare::What::kModified}};

Result<kv::Compare> read_compare(const json::object& object, Arena& arena) {
  RETURN_IF_ERROR(check_fields(object, {"key", "key_base64", "version", "created", "modified",
                                        "value", "value_base64", "exists", "is"}));
  const Result<std::string_view> key = key_of(object, arena);
  const Result<kv::Compare::Relation> relation = relation_of(object);
  const Result<std::optional<std::string_view>> value = bytes_field(object, "value", arena);
  const Result<std::optional<bool>> exists = flag_field(object, "exists");
  RETURN_IF_ERROR(key);
  RETURN_IF_ERROR(relation);
  RETURN_IF_ERROR(value);
  RETURN_IF_ERROR(exists);
  kv::Compare compare{.key = *key, .relation = *relation};
  size_t told = 0;
  for (const NumberRow& row : kNumbers) {
    const Result<std::optional<uint64_t>> number = number_field(object, row.name);
    RETURN_IF_ERROR(number);
    if (number->has_value()) {
      ++told;
      compare.what = row.what;
      compare.number = **number;
    }
  }
  if (value->has_value()) {
    ++told;
    compare.what = kv::Compare::What::kValue;
    compare.value = **value;
  }
  if (exists->has_value()) {  // the version of an absent key is 0
    ++told;
    compare.relation = **exists ? kv::Compare::Relation::kNotEqual : kv::Compare::Relation::kEqual;
  }
  if (told != 1 || (exists->has_value() && object.contains("is"))) {
    return wrong(
        "a compare names one of version, created, modified, value, exists (which takes "
        "no 'is')");
  }
  return compare;
}

// ---- operations --------------------------------------------------------------------------------

using Op = kv::Txn::Op;

Result<Op> read_get(const json::object& object, std::string_view key, Arena&) {
  RETURN_IF_ERROR(check_fields(object, {"op", "key", "key_base64", "keys_only"}));
  const Result<std::optional<bool>> keys_only = flag_field(object, "keys_only");
  RETURN_IF_ERROR(keys_only);
  return Op(kv::Get{.key = key, .with_value = !keys_only->value_or(false)});
}

Result<Op> read_put(const json::object& object, std::string_view key, Arena& arena) {
  RETURN_IF_ERROR(
      check_fields(object, {"op", "key", "key_base64", "value", "value_base64", "ttl", "keep_ttl",
                            "if_absent", "if_present", "if_version", "if_modified", "if_value",
                            "if_value_base64", "return_previous"}));
  const Result<std::optional<std::string_view>> value = bytes_field(object, "value", arena);
  const Result<std::optional<bool>> keep = flag_field(object, "keep_ttl");
  const Result<std::optional<bool>> previous = flag_field(object, "return_previous");
  const Result<kv::Condition> condition = read_condition(object, arena);
  for (const Status& problem : {Status(value), Status(keep), Status(previous), Status(condition)}) {
    RETURN_IF_ERROR(problem);
  }
  const Result<kv::Lifetime> lifetime =
      lifetime_of(object, keep->value_or(false) ? kv::Lifetime::keep() : kv::Lifetime());
  RETURN_IF_ERROR(lifetime);
  if (!value->has_value() || (keep->value_or(false) && object.contains("ttl"))) {
    return wrong("a put needs a value, and 'ttl' or 'keep_ttl', not both");
  }
  return Op(kv::Put{.key = key,
                    .value = **value,
                    .lifetime = *lifetime,
                    .condition = *condition,
                    .with_previous = previous->value_or(false)});
}

Result<Op> read_delete(const json::object& object, std::string_view key, Arena& arena) {
  RETURN_IF_ERROR(
      check_fields(object, {"op", "key", "key_base64", "if_present", "if_version", "if_modified",
                            "if_value", "if_value_base64", "return_previous"}));
  const Result<kv::Condition> condition = read_condition(object, arena);
  const Result<std::optional<bool>> previous = flag_field(object, "return_previous");
  RETURN_IF_ERROR(condition);
  RETURN_IF_ERROR(previous);
  return Op(
      kv::Delete{.key = key, .condition = *condition, .with_previous = previous->value_or(false)});
}

Result<Op> read_touch(const json::object& object, std::string_view key, Arena&) {
  RETURN_IF_ERROR(check_fields(object, {"op", "key", "key_base64", "ttl", "persist", "when"}));
  const Result<std::optional<bool>> persist = flag_field(object, "persist");
  const Result<std::optional<std::string>> name = text_field(object, "when");
  const Result<kv::Lifetime> lifetime = lifetime_of(object, kv::Lifetime());
  RETURN_IF_ERROR(persist);
  RETURN_IF_ERROR(name);
  RETURN_IF_ERROR(lifetime);
  const Result<kv::Touch::When> when = parse_when(name->value_or("always"));
  RETURN_IF_ERROR(when);
  if ((*lifetime == kv::Lifetime()) != persist->value_or(false)) {
    return wrong("give either 'ttl' or 'persist'");
  }
  return Op(kv::Touch{.key = key, .lifetime = *lifetime, .when = *when});
}

Result<Op> read_increment(const json::object& object, std::string_view key, Arena&) {
  RETURN_IF_ERROR(check_fields(object, {"op", "key", "key_base64", "by", "ttl"}));
  const Result<int64_t> delta = delta_of(object);
  const Result<kv::Lifetime> lifetime = lifetime_of(object, kv::Lifetime::keep());
  RETURN_IF_ERROR(delta);
  RETURN_IF_ERROR(lifetime);
  return Op(kv::Increment{.key = key, .delta = *delta, .lifetime = *lifetime});
}

Result<Op> read_append(const json::object& object, std::string_view key, Arena& arena) {
  RETURN_IF_ERROR(check_fields(object, {"op", "key", "key_base64", "value", "value_base64"}));
  const Result<std::optional<std::string_view>> value = bytes_field(object, "value", arena);
  RETURN_IF_ERROR(value);
  return Op(kv::Append{.key = key, .value = value->value_or("")});
}

Result<Op> read_set_range(const json::object& object, std::string_view key, Arena& arena) {
  RETURN_IF_ERROR(
      check_fields(object, {"op", "key", "key_base64", "offset", "value", "value_base64"}));
  const Result<std::optional<std::string_view>> value = bytes_field(object, "value", arena);
  const Result<std::optional<uint64_t>> offset = number_field(object, "offset");
  RETURN_IF_ERROR(value);
  RETURN_IF_ERROR(offset);
  return Op(kv::SetRange{.key = key, .offset = offset->value_or(0), .value = value->value_or("")});
}

struct OpRow {
  std::string_view name;
  Result<Op> (*read)(const json::object& object, std::string_view key, Arena& arena);
};
constexpr OpRow kOps[] = {{"get", read_get},
                          {"put", read_put},
                          {"delete", read_delete},
                          {"touch", read_touch},
                          {"increment", read_increment},
                          {"append", read_append},
                          {"set_range", read_set_range}};

Result<Op> read_op(const json::object& object, Arena& arena) {
  const Result<std::optional<std::string>> name = text_field(object, "op");
  const Result<std::string_view> key = key_of(object, arena);
  RETURN_IF_ERROR(name);
  RETURN_IF_ERROR(key);
  for (const OpRow& row : kOps) {
    if (row.name == name->value_or("")) {
      return row.read(object, *key, arena);
    }
  }
  return wrong("'op' must be get, put, delete, touch, increment, append or set_range");
}

// Each element of the list `name`, an object, by `read`.
template <class T, class Read>
Status read_list(const json::object& body, std::string_view name, std::vector<T>& list, Read read) {
  const json::value* found = body.if_contains({name.data(), name.size()});
  if (found == nullptr) {
    return Status::success();
  }
  if (!found->is_array()) {
    return wrong("'" + std::string(name) + "' must be a list of objects");
  }
  for (const json::value& each : found->get_array()) {
    if (!each.is_object()) {
      return wrong("'" + std::string(name) + "' must be a list of objects");
    }
    Result<T> element = read(each.get_object());
    RETURN_IF_ERROR(element);
    list.push_back(std::move(*element));
  }
  return Status::success();
}

// ---- answers -----------------------------------------------------------------------------------

void write_previous(const kv::Item& previous, Stamp now, JsonWriter& out) {
  if (previous.found()) {
    out.key("previous").begin_object();
    write_item(previous, true, now, out);
    out.end_object();
  }
}

struct OpAnswerWriter {
  JsonWriter& out;
  Stamp now;

  void operator()(const Status& refusal) {
    out.key("error").begin_object().field("code", row_of(refusal.code()).name);
    out.field("message", std::string_view(refusal.message())).end_object();
  }
  void operator()(const kv::Found& found) { write_item(found.item, true, now, out); }
  void operator()(const kv::Written& written) {
    out.field("version", written.version).field("revision", written.revision.value());
    out.field("bytes", written.value_bytes);
    write_previous(written.previous, now, out);
  }
  void operator()(const kv::Removed& removed) {
    out.field("count", removed.count);
    write_previous(removed.previous, now, out);
  }
  void operator()(const kv::Touched& touched) {
    out.field("count", touched.count);
    write_expiry(touched.expires, now, out);
  }
  void operator()(const kv::Hashed& hashed) { out.field("value", hashed.number); }
  void operator()(const kv::Counted& counted) {
    out.field("value", counted.value).field("version", counted.version);
    out.field("revision", counted.revision.value());
  }
};

}  // namespace

Status KvRows::txn(const Asked& asked, const Responder& responder) {
  Result<kv::WriteOptions> options = read_write_options(asked.request);
  const Result<json::object> body = read_body(asked.request, {"compare", "then", "else", "fence"});
  RETURN_IF_ERROR(options);
  RETURN_IF_ERROR(body);
  Arena arena;
  RETURN_IF_ERROR(read_fence(*body, arena, *options));
  kv::Txn txn;
  txn.keyspace = asked.keyspace;
  const auto op = [&](const json::object& object) {
    Result<Op> read = read_op(object, arena);
    if (read.ok()) {
      std::visit([&](auto& fields) { fields.keyspace = asked.keyspace; }, *read);
    }
    return read;
  };
  RETURN_IF_ERROR(read_list(*body, "compare", txn.compares, [&](const json::object& object) {
    return read_compare(object, arena);
  }));
  RETURN_IF_ERROR(read_list(*body, "then", txn.then, op));
  RETURN_IF_ERROR(read_list(*body, "else", txn.otherwise, op));
  RETURN_IF_ERROR(kv::validate(kv::Command(txn)));
  api_.txn(txn, *options,
           answer<kv::TxnDone>(responder, [](const kv::TxnDone& done, JsonWriter& out, Stamp now) {
             out.field("held", done.held).field("revision", done.revision.value());
             out.key("answers").begin_array();
             for (const kv::OpAnswer& each : done.answers) {
               out.begin_object();
               std::visit(OpAnswerWriter{out, now}, each);
               out.end_object();
             }
             out.end_array();
           }));
  return Status::success();
}

}  // namespace quorate::edge::http
