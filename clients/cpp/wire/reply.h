// SPDX-License-Identifier: Apache-2.0
// ReplyParser: bytes of a node to replies, of the second version of the Redis protocol; and words
// to the bytes of a command. Keeps its place in a reply that has come in part.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "quorate/client.h"

namespace quorate::wire {

// An error reply is a Status: its first word stands in the table of codes, or it is
// invalid_argument, as all of Redis's own complaints.
using Parsed = Result<Reply>;

class ReplyParser {
 public:
  enum class Step : uint8_t { kMore, kReply, kBroken };

  static constexpr size_t kTextBytesMax = 64u << 20;
  static constexpr size_t kItemsMax = 4u << 20;
  static constexpr size_t kLineBytesMax = 64u << 10;
  static constexpr size_t kDepthMax = 16;

  // Takes from the front of `bytes`. kReply: `out` is the next one; ask again. kMore: what is left
  // of `bytes` must be given again, with more behind it. kBroken: this is no reply, and no more
  // will come.
  [[nodiscard]] Step take(std::string_view& bytes, Parsed& out);

 private:
  struct Open {
    Reply array;
    size_t left;
  };

  [[nodiscard]] Step value(std::string_view& bytes, Parsed& out);
  [[nodiscard]] Step text(std::string_view& bytes, std::string_view number, size_t line,
                          Parsed& out);
  [[nodiscard]] Step array(std::string_view number, Parsed& out);

  std::vector<Open> open_;  // arrays that have come in part, the innermost last
};

[[nodiscard]] Status status_of_error(std::string_view text);
void append_command(const std::vector<std::string_view>& words, std::string& out);

}  // namespace quorate::wire
