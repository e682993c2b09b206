// SPDX-License-Identifier: Apache-2.0
// The text of a transcript as values: parse, run, render. Nothing here touches a file or gtest, so
// the runner's own tests can watch it fail. Invariant: render(parse(text)) is text, up to blanks
// at line ends and doubled empty lines between blocks.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "testing/transcript.h"

namespace quorate::testing {

struct Block {
  std::vector<std::string> prelude;   // comments and empty lines before the input
  std::vector<std::string> input;     // as it stands, comments between the lines included
  std::vector<std::string> expected;
  int input_line = 0;                 // number in the file of the first input line
};

struct Transcript {
  std::vector<Block> blocks;
  std::vector<std::string> epilogue;  // comments after the last block
  std::string error;                  // not empty: the text is no transcript; says where
};

[[nodiscard]] Transcript parse_transcript(std::string_view text);
[[nodiscard]] std::string render_transcript(const Transcript& transcript);

// The output of a block, line by line, as a transcript shows it.
[[nodiscard]] std::vector<std::string> run_block(const Block& block, Script& script);

// "- expected" and "+ actual" around the lines that both have; empty if they are equal.
[[nodiscard]] std::string describe_difference(const std::vector<std::string>& expected,
                                              const std::vector<std::string>& actual);

}  // namespace quorate::testing
