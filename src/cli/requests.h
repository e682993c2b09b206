// SPDX-License-Identifier: Apache-2.0
// What the commands on keys share: targets and JSON fields made, answers read and shown.
#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <string_view>

#include "cli/session.h"

namespace quorate::cli {

// "/v1/kv/KEY?a=b&c=d"; flags that were not given are left out, those without a value are "=true".
class Target {
 public:
  explicit Target(std::string path) : text_(std::move(path)) {}
  Target& add(std::string_view name, std::string_view value);
  Target& pass(const Arguments& arguments, std::string_view flag, std::string_view name);
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
  char separator_ = '?';
};

// Of a key, or of many with ":verb".
[[nodiscard]] Target target_of_key(const Session& session, std::string_view key,
                                   std::string_view verb = {});
// With --keyspace, --fence and --fence-domain, of commands that take them.
[[nodiscard]] Target target_of(const Session& session, std::string path);
// With --consistency and --bound.
Target& pass_read_flags(const Session& session, Target& target);

// Bytes as a JSON field: "key" if it is text, else "key_base64".
void put_bytes(boost::json::object& object, const std::string& name, std::string_view bytes);
[[nodiscard]] std::string get_bytes(const boost::json::object& object, const std::string& name);
[[nodiscard]] uint64_t get_number(const boost::json::object& object, std::string_view name);
// A JSON list of keys, each {"key"} or {"key_base64"}.
[[nodiscard]] boost::json::array key_list(const std::vector<std::string>& keys);
// kInvalidArgument, naming the flag.
[[nodiscard]] Result<uint64_t> parse_whole(std::string_view text, std::string_view flag);
// "expires in 5 s", of the field ttl_ms.
[[nodiscard]] std::string describe_expiry(const boost::json::object& object);
[[nodiscard]] Result<std::string> read_file(const std::string& path);
// What the word or --file names; standard input for "-" and for neither.
[[nodiscard]] Result<std::string> read_value(Session& session, size_t word);

// Prints the body as it came with --json, else what `line` makes of it.
template <class Line>
Exit show(Session& session, const Result<client::Answer>& answer, Line line) {
  if (!answer.ok()) {
    return session.fail(answer.status());
  }
  if (session.json()) {
    session.print(answer->body);
    return Exit::kDone;
  }
  const boost::json::value body = parse_json(answer->body);
  session.print(line(body.is_object() ? body.get_object() : boost::json::object()));
  return Exit::kDone;
}

}  // namespace quorate::cli
