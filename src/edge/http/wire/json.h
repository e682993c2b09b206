// SPDX-License-Identifier: Apache-2.0
// JsonWriter: JSON text appended to a string, without a tree in between.
//
//   JsonWriter json(out);
//   json.begin_object().field("ok", true).key("ids").begin_array().number(1).end_array();
//   json.end_object();
//
// Text must be UTF-8 to make valid JSON; is_utf8() of base/text.h tells.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace quorate::edge::http {

class JsonWriter {
 public:
  // Appends to `out`, which must outlive the writer.
  explicit JsonWriter(std::string& out) : out_(out) {}

  JsonWriter& begin_object() { return open('{'); }
  JsonWriter& end_object() { return close('}'); }
  JsonWriter& begin_array() { return open('['); }
  JsonWriter& end_array() { return close(']'); }
  JsonWriter& key(std::string_view name);
  JsonWriter& text(std::string_view value);
  JsonWriter& number(uint64_t value);
  JsonWriter& signed_number(int64_t value);
  JsonWriter& boolean(bool value);
  JsonWriter& null();
  // Already JSON.
  JsonWriter& raw(std::string_view json);

  JsonWriter& field(std::string_view name, std::string_view value) { return key(name).text(value); }
  JsonWriter& field(std::string_view name, const char* value) { return key(name).text(value); }
  JsonWriter& field(std::string_view name, std::same_as<bool> auto value) {
    return key(name).boolean(value);
  }
  JsonWriter& field(std::string_view name, std::unsigned_integral auto value)
    requires(!std::same_as<decltype(value), bool>)
  {
    return key(name).number(value);
  }
  JsonWriter& field(std::string_view name, std::signed_integral auto value) {
    return key(name).signed_number(value);
  }

 private:
  JsonWriter& open(char bracket);
  JsonWriter& close(char bracket);
  void before_value();

  std::string& out_;
  bool comma_ = false;
};

// The text with its quotes.
void append_json_text(std::string_view text, std::string& out);

}  // namespace quorate::edge::http
