// SPDX-License-Identifier: Apache-2.0
#include "cli/requests.h"

#include <boost/json/array.hpp>
#include <charconv>
#include <fstream>
#include <iterator>

#include "base/text.h"

namespace quorate::cli {

namespace json = boost::json;

Target& Target::add(std::string_view name, std::string_view value) {
  text_ += std::exchange(separator_, '&');
  text_.append(name).append("=").append(percent_encode(value));
  return *this;
}

Target& Target::pass(const Arguments& arguments, std::string_view flag, std::string_view name) {
  if (const auto value = arguments.value(flag)) {
    add(name, value->empty() ? "true" : *value);
  }
  return *this;
}

Target target_of(const Session& session, std::string path) {
  Target target(std::move(path));
  target.pass(session.arguments(), "--keyspace", "keyspace");
  target.pass(session.arguments(), "--fence", "fence");
  target.pass(session.arguments(), "--fence-domain", "fence_domain");
  return target;
}

Target target_of_key(const Session& session, std::string_view key, std::string_view verb) {
  return target_of(session, "/v1/kv/" + percent_encode(key) + std::string(verb));
}

Target& pass_read_flags(const Session& session, Target& target) {
  return target.pass(session.arguments(), "--consistency", "consistency")
      .pass(session.arguments(), "--bound", "bound");
}

void put_bytes(json::object& object, const std::string& name, std::string_view bytes) {
  if (is_utf8(bytes)) {
    object[name] = std::string(bytes);
  } else {
    object[name + "_base64"] = base64_encode(bytes);
  }
}

std::string get_bytes(const json::object& object, const std::string& name) {
  if (const json::value* text = object.if_contains(name); text != nullptr && text->is_string()) {
    return std::string(text->get_string());
  }
  const json::value* coded = object.if_contains(name + "_base64");
  if (coded == nullptr || !coded->is_string()) {
    return {};
  }
  return base64_decode(std::string_view(coded->get_string())).value_or("");
}

uint64_t get_number(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains({name.data(), name.size()});
  const bool number = value != nullptr && (value->is_int64() || value->is_uint64());
  return number ? value->to_number<uint64_t>() : 0;
}

json::array key_list(const std::vector<std::string>& keys) {
  json::array list;
  for (const std::string& key : keys) {
    json::object entry;
    put_bytes(entry, "key", key);
    list.push_back(std::move(entry));
  }
  return list;
}

Result<uint64_t> parse_whole(std::string_view text, std::string_view flag) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) {
    return Status(Code::kInvalidArgument, std::string(flag) + " must be a whole number");
  }
  return number;
}

std::string describe_expiry(const json::object& object) {
  const json::value* ttl = object.if_contains("ttl_ms");
  if (ttl == nullptr || ttl->is_null()) {
    return "no expiry";
  }
  const uint64_t millis = get_number(object, "ttl_ms");
  return "expires in " +
         (millis < 10'000 ? std::to_string(millis) + " ms" : std::to_string(millis / 1'000) + " s");
}

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file) {
    return Status(Code::kNotFound, "cannot read " + path);
  }
  return bytes;
}

Result<std::string> read_value(Session& session, size_t word) {
  const Arguments& arguments = session.arguments();
  const std::optional<std::string> file = arguments.value("--file");
  if (file && arguments.words.size() > word) {
    return Status(Code::kInvalidArgument, "give a value or --file, not both");
  }
  if (file && *file != "-") {
    return read_file(*file);
  }
  const bool is_piped = arguments.words.size() <= word || arguments.words[word] == "-";
  return is_piped ? session.io().read_input() : arguments.words[word];
}

}  // namespace quorate::cli
