// SPDX-License-Identifier: Apache-2.0
#include "testing/transcript_text.h"

#include <algorithm>
#include <utility>

namespace quorate::testing {
namespace {

constexpr std::string_view kSeparator = "----";

std::vector<std::string> split_lines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    const size_t last = line.find_last_not_of(" \t\r");
    lines.emplace_back(line.substr(0, last == std::string_view::npos ? 0 : last + 1));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

bool is_comment(const std::string& line) { return line.starts_with('#'); }

// Walks over the lines once; each take_ step leaves next_ on the first line it did not want.
class Parser {
 public:
  explicit Parser(std::vector<std::string> lines) : lines_(std::move(lines)) {}

  Transcript parse() {
    Transcript out;
    while (out.error.empty()) {
      Block block;
      take_prelude(block);
      if (at_end()) {
        out.epilogue = std::move(block.prelude);
        break;
      }
      out.error = take_input(block);
      take_expected(block);
      out.blocks.push_back(std::move(block));
    }
    if (out.error.empty() && out.blocks.empty()) out.error = "line 1: there is no block";
    return out;
  }

 private:
  [[nodiscard]] bool at_end() const { return next_ == lines_.size(); }

  void take_prelude(Block& block) {
    while (!at_end() && (lines_[next_].empty() || is_comment(lines_[next_]))) {
      block.prelude.push_back(lines_[next_++]);
    }
  }

  std::string take_input(Block& block) {
    block.input_line = static_cast<int>(next_) + 1;
    while (!at_end() && !lines_[next_].empty() && lines_[next_] != kSeparator) {
      block.input.push_back(lines_[next_++]);
    }
    if (block.input.empty()) return where(block) + "a block has no input";
    if (at_end() || lines_[next_] != kSeparator) {
      return where(block) + "the input is not followed by ----";
    }
    ++next_;
    return {};
  }

  void take_expected(Block& block) {
    while (!at_end() && !lines_[next_].empty()) block.expected.push_back(lines_[next_++]);
  }

  static std::string where(const Block& block) {
    return "line " + std::to_string(block.input_line) + ": ";
  }

  std::vector<std::string> lines_;
  size_t next_ = 0;
};

std::string run_line(const std::string& raw, int number, Script& script) {
  try {
    return script.run(parse_line(raw, number));
  } catch (const ScriptError& error) {
    return std::string("error: ") + error.what();
  }
}

void append_lines(const std::vector<std::string>& lines, std::string& out) {
  for (const std::string& line : lines) out += line + '\n';
}

// Lengths of the longest common subsequences of the two tails that start at (i, j).
using Table = std::vector<std::vector<size_t>>;

Table common_lengths(const std::vector<std::string>& left, const std::vector<std::string>& right) {
  Table table(left.size() + 1, std::vector<size_t>(right.size() + 1, 0));
  for (size_t i = left.size(); i-- > 0;) {
    for (size_t j = right.size(); j-- > 0;) {
      table[i][j] = left[i] == right[j] ? table[i + 1][j + 1] + 1
                                        : std::max(table[i + 1][j], table[i][j + 1]);
    }
  }
  return table;
}

}  // namespace

Transcript parse_transcript(std::string_view text) { return Parser(split_lines(text)).parse(); }

std::string render_transcript(const Transcript& transcript) {
  std::string out;
  for (const Block& block : transcript.blocks) {
    append_lines(block.prelude, out);
    append_lines(block.input, out);
    out += std::string(kSeparator) + '\n';
    append_lines(block.expected, out);
  }
  append_lines(transcript.epilogue, out);
  return out;
}

std::vector<std::string> run_block(const Block& block, Script& script) {
  std::vector<std::string> output;
  int number = block.input_line;
  for (const std::string& raw : block.input) {
    if (!is_comment(raw)) {
      for (std::string& line : split_lines(run_line(raw, number, script))) {
        output.push_back(line.empty() ? "." : std::move(line));
      }
    }
    ++number;
  }
  return output;
}

std::string describe_difference(const std::vector<std::string>& expected,
                                const std::vector<std::string>& actual) {
  if (expected == actual) return {};
  const Table common = common_lengths(expected, actual);
  std::string out;
  size_t i = 0;
  size_t j = 0;
  while (i < expected.size() || j < actual.size()) {
    const bool both = i < expected.size() && j < actual.size();
    if (both && expected[i] == actual[j]) {
      out += "    " + expected[i++] + '\n';
      ++j;
    } else if (j == actual.size() || (both && common[i + 1][j] >= common[i][j + 1])) {
      out += "  - " + expected[i++] + '\n';
    } else {
      out += "  + " + actual[j++] + '\n';
    }
  }
  return out;
}

}  // namespace quorate::testing
