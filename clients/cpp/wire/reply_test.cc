// SPDX-License-Identifier: Apache-2.0
#include "clients/cpp/wire/reply.h"

#include <gtest/gtest.h>

namespace quorate::wire {
namespace {

std::string show(const Reply& reply) {
  switch (reply.kind) {
    case Reply::Kind::kNull: return "null";
    case Reply::Kind::kInteger: return std::to_string(reply.integer);
    case Reply::Kind::kText: return "'" + reply.text + "'";
    case Reply::Kind::kArray: break;
  }
  std::string text = "[";
  for (const Reply& item : reply.items) {
    text += (text.size() > 1 ? " " : "") + show(item);
  }
  return text + "]";
}

// All replies in `bytes`, of which `piece` come at a time.
std::string parse(std::string_view bytes, size_t piece) {
  ReplyParser parser;
  std::string held;
  std::string shown;
  for (size_t at = 0; at < bytes.size(); at += piece) {
    held += bytes.substr(at, piece);
    std::string_view left = held;
    while (true) {
      Parsed out = Reply{};
      const ReplyParser::Step step = parser.take(left, out);
      if (step == ReplyParser::Step::kBroken) {
        return shown + "broken";
      }
      if (step == ReplyParser::Step::kMore) {
        break;
      }
      shown += (out.ok() ? show(*out) : out.status().to_string()) + ";";
    }
    held.erase(0, held.size() - left.size());
  }
  return shown + (held.empty() ? "" : "+" + std::to_string(held.size()));
}

TEST(wire_reply, every_kind_is_read_whole_or_byte_by_byte) {
  const struct {
    std::string_view bytes;
    std::string_view shown;
  } kRows[] = {
      {"+OK\r\n", "'OK';"},
      {":-12\r\n", "-12;"},
      {"$5\r\na\r\nbc\r\n", "'a\r\nbc';"},
      {"$0\r\n\r\n", "'';"},
      {"$-1\r\n", "null;"},
      {"*-1\r\n", "null;"},
      {"*0\r\n", "[];"},
      {"*2\r\n:1\r\n$1\r\nx\r\n", "[1 'x'];"},
      {"*2\r\n*1\r\n:1\r\n*2\r\n$-1\r\n*0\r\n:7\r\n", "[[1] [null []]];7;"},
      {"*2\r\n-ERR no\r\n+OK\r\n", "['ERR no' 'OK'];"},
      {"+a\r\n+b\r\n+c", "'a';'b';+2"},
      {"-ERR syntax error\r\n", "invalid_argument: ERR syntax error;"},
      {"-CLUSTERDOWN no leader\r\n", "unavailable: CLUSTERDOWN no leader;"},
      {"-UNKNOWN who knows\r\n", "unknown_outcome: UNKNOWN who knows;"},
      {"-WRONGTYPE Operation\r\n", "invalid_argument: WRONGTYPE Operation;"},
      {"-WRONGPASS no\r\n", "unauthenticated: WRONGPASS no;"},
  };
  for (const auto& row : kRows) {
    for (const size_t piece : {size_t{1}, size_t{3}, row.bytes.size()}) {
      EXPECT_EQ(parse(row.bytes, piece), row.shown) << row.bytes << " by " << piece;
    }
  }
}

TEST(wire_reply, what_is_no_reply_is_broken_and_takes_no_memory) {
  const std::string deep = [] {
    std::string text;
    for (int i = 0; i < 20; ++i) {
      text += "*1\r\n";
    }
    return text;
  }();
  const std::string kRows[] = {"\r\n",
                               "HTTP/1.1 400 Bad Request\r\n",
                               ":1x\r\n",
                               ":\r\n",
                               "$-2\r\n",
                               "$99999999999\r\n",
                               "$x\r\n",
                               "$1\r\nabc",
                               "*99999999999\r\n",
                               "*-7\r\n",
                               std::string(70'000, 'x'),
                               deep};
  for (const std::string& row : kRows) {
    EXPECT_EQ(parse(row, row.size()), "broken") << row.substr(0, 40);
  }
}

TEST(wire_reply, a_command_is_an_array_of_its_words) {
  std::string out;
  append_command({"SET", "", "a\r\n"}, out);
  EXPECT_EQ(out, "*3\r\n$3\r\nSET\r\n$0\r\n\r\n$3\r\na\r\n\r\n");
}

}  // namespace
}  // namespace quorate::wire
