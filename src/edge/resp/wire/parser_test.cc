// SPDX-License-Identifier: Apache-2.0
// What the parser makes of bytes, however they are cut, and that no bytes hurt it.
#include "edge/resp/wire/parser.h"

#include <gtest/gtest.h>

#include <memory>

#include "base/prng.h"
#include "edge/resp/wire/reply.h"

namespace quorate::edge::resp {
namespace {

// All commands of a text, each as "[a][b]", then the error if there is one or "..." if more is
// awaited. Each call gets a copy of its own, so that a view of an older buffer is found out.
std::string parsed(std::string_view text, size_t step, Parser::Bounds bounds = {}) {
  Parser parser(bounds);
  std::string said;
  size_t begin = 0;
  size_t end = std::min(step, text.size());
  while (true) {
    const std::string input(text.substr(begin, end - begin));
    const Parser::Outcome outcome = parser.next(input);
    if (outcome == Parser::Outcome::kError) {
      return said + parser.error();
    }
    if (outcome == Parser::Outcome::kMore) {
      EXPECT_GT(parser.wanted(), input.size());
      if (end == text.size()) {
        return begin == end ? said : said + "...";
      }
      end = std::min(end + step, text.size());
      continue;
    }
    EXPECT_GT(parser.consumed(), 0u);
    EXPECT_LE(parser.consumed(), input.size());
    begin += parser.consumed();
    if (outcome == Parser::Outcome::kCommand) {
      for (const std::string_view argument : parser.arguments()) {
        said.append("[").append(argument).append("]");
      }
      said += " ";
    }
  }
}

struct Row {
  std::string_view input;
  std::string_view expected;
};

constexpr Row kRows[] = {
    {"*1\r\n$4\r\nPING\r\n", "[PING] "},
    {"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*1\r\n$4\r\nPING\r\n", "[GET][k] [PING] "},
    {"*3\r\n$3\r\nSET\r\n$0\r\n\r\n$2\r\n\r\n\r\n", "[SET][][\r\n] "},
    {"PING\r\n", "[PING] "},
    {"  set  k   'a b'\t\"\\x41\\n\\\"\" \r\nPING\n", "[set][k][a b][A\n\"] [PING] "},
    {"set 'it\\'s' \"\\xg\"\r\n", "[set][it's][xg] "},
    {"\r\n\r\n  \r\n*0\r\n*-1\r\nPING\r\n", "[PING] "},
    {"set \"a\"b\r\n", "Protocol error: unbalanced quotes in request"},
    {"set \"a\r\n", "Protocol error: unbalanced quotes in request"},
    {"*1\r\n$4\r\nPI", "..."},
    {"*x\r\n", "Protocol error: invalid multibulk length"},
    {"*01\r\n", "Protocol error: invalid multibulk length"},
    {"*1048577\r\n", "Protocol error: invalid multibulk length"},
    {"*9223372036854775808\r\n", "Protocol error: invalid multibulk length"},
    {"*1\r\n:4\r\n", "Protocol error: expected '$', got ':'"},
    {"*1\r\n\r\n", "Protocol error: expected '$', got '?'"},
    {"*1\r\n$-1\r\n", "Protocol error: invalid bulk length"},
    {"*1\r\n$+1\r\n", "Protocol error: invalid bulk length"},
    {"*1\r\n$16777217\r\n", "Protocol error: invalid bulk length"},
    {"*2\r\n$1\r\na\r\n$99999999999999999999\r\n", "Protocol error: invalid bulk length"},
    {"*2\r\n$1\r\na\r\n$16777215\r\n", "Protocol error: the request is over 16777216 bytes"},
};

TEST(resp_parser, commands_are_understood_however_they_are_cut) {
  for (const Row& row : kRows) {
    for (size_t step = 1; step <= row.input.size(); ++step) {
      EXPECT_EQ(parsed(row.input, step), row.expected) << row.input << " by " << step;
    }
  }
}

TEST(resp_parser, a_line_has_a_bound_and_so_has_a_command) {
  const Parser::Bounds small{.request_bytes = 64, .inline_bytes = 16, .arguments = 3};
  const Row rows[] = {
      {"set aaaaaaaaaaaaaaaaaaaaaaaaaa", "Protocol error: too big inline request"},
      {"*11111111111111111111111111111", "Protocol error: too big mbulk count string"},
      {"*1\r\n$1111111111111111111111111", "Protocol error: too big bulk count string"},
      {"*4\r\n", "Protocol error: invalid multibulk length"},
      {"*2\r\n$30\r\n012345678901234567890123456789\r\n$30\r\n",
       "Protocol error: the request is over 64 bytes"},
  };
  for (const Row& row : rows) {
    for (const size_t step : {1, 7, 100}) {
      EXPECT_EQ(parsed(row.input, step, small), row.expected) << row.input;
    }
  }
}

std::string encoded(const std::vector<std::string>& arguments) {
  std::string bytes;
  Reply writer(bytes, 2);
  writer.array(arguments.size());
  for (const std::string& argument : arguments) {
    writer.bulk(argument);
  }
  return bytes;
}

TEST(resp_parser, what_is_written_is_read_again_at_every_cut) {
  Prng random(7);
  for (int round = 0; round < 200; ++round) {
    std::string bytes;
    std::string expected;
    for (uint64_t commands = 1 + random.below(4); commands > 0; --commands) {
      std::vector<std::string> arguments(1 + random.below(5));
      for (std::string& argument : arguments) {
        argument.resize(random.below(40));
        for (char& byte : argument) {
          byte = static_cast<char>(random.below(256));
        }
        expected.append("[").append(argument).append("]");
      }
      expected += " ";
      bytes += encoded(arguments);
    }
    for (const size_t step :
         {size_t{1}, size_t{2}, size_t{3}, 1 + random.below(50), bytes.size()}) {
      ASSERT_EQ(parsed(bytes, step), expected);
    }
  }
}

// Bytes that are nearly right reach further into a parser than noise does.
TEST(resp_parser, damaged_and_arbitrary_bytes_do_no_harm) {
  Prng random(11);
  const std::string good = encoded({"SET", "key", "value", "EX", "10"}) + "GET k\r\n" +
                           encoded({"MSET", "a", "1", "b", std::string(300, 'x')});
  constexpr std::string_view kAlphabet = "*$:+-\r\n0123456789 \"'\\xGETk";
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = good;
    if (round % 4 == 0) {
      bytes.resize(random.below(60));
      for (char& byte : bytes) {
        byte = kAlphabet[random.below(kAlphabet.size())];
      }
    }
    for (uint64_t changes = random.below(6); changes > 0 && !bytes.empty(); --changes) {
      const size_t at = random.below(bytes.size());
      switch (random.below(3)) {
        case 0: bytes[at] = static_cast<char>(random.below(256)); break;
        case 1: bytes.erase(at, 1 + random.below(4)); break;
        default: bytes.insert(at, 1, kAlphabet[random.below(kAlphabet.size())]); break;
      }
    }
    const std::string whole = parsed(bytes, bytes.size() + 1);
    const std::string by_bytes = parsed(bytes, 1 + random.below(9));
    ASSERT_EQ(whole, by_bytes) << bytes;
  }
}

TEST(resp_parser, an_integer_is_what_redis_takes_for_one) {
  const std::pair<std::string_view, bool> rows[] = {{"0", true},
                                                    {"-1", true},
                                                    {"9223372036854775807", true},
                                                    {"-9223372036854775808", true},
                                                    {"", false},
                                                    {"-", false},
                                                    {"+1", false},
                                                    {"01", false},
                                                    {"-0", false},
                                                    {" 1", false},
                                                    {"1 ", false},
                                                    {"9223372036854775808", false},
                                                    {"1.0", false}};
  for (const auto& [text, is_integer] : rows) {
    int64_t value = 0;
    EXPECT_EQ(parse_integer(text, value), is_integer) << text;
  }
}

TEST(resp_reply, each_kind_in_both_protocols) {
  for (const int protocol : {2, 3}) {
    std::string out;
    Reply reply(out, protocol);
    reply.ok();
    reply.simple("PONG");
    reply.error("ERR two\r\nlines");
    reply.integer(-7);
    reply.bulk("");
    reply.null();
    reply.null_array();
    reply.boolean(true);
    reply.number(0.5);
    reply.verbatim("hi");
    reply.map(1);
    reply.set(2);
    EXPECT_EQ(out, protocol == 2
                       ? "+OK\r\n+PONG\r\n-ERR two  lines\r\n:-7\r\n$0\r\n\r\n$-1\r\n*-1\r\n:1\r\n"
                         "$3\r\n0.5\r\n$2\r\nhi\r\n*2\r\n*2\r\n"
                       : "+OK\r\n+PONG\r\n-ERR two  lines\r\n:-7\r\n$0\r\n\r\n_\r\n_\r\n#t\r\n"
                         ",0.5\r\n=6\r\ntxt:hi\r\n%1\r\n~2\r\n");
  }
}

}  // namespace
}  // namespace quorate::edge::resp
