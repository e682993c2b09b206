// SPDX-License-Identifier: Apache-2.0
// Transcripts: tests that are told as a story, in testdata/*.txt beside the code.
//
//   # What the story shows, in one sentence.
//   acquire a /leader          input: one line, one step
//   acquire b /leader wait
//   ----
//   a holds /leader token=1    expected output of all the lines above, up to an empty line
//   b waits for /leader
//
// A folder derives Script, understands its own verbs, and checks a directory with one TEST:
//
//   TEST(lock, transcripts) {
//     quorate::testing::check_transcripts(QUORATE_TESTDATA, [] {
//       return std::make_unique<LockScript>();
//     });
//   }
//
// With QUORATE_REWRITE=1 in the environment (./dev test --rewrite) the expected parts are replaced
// in place by what the code says; the diff is then reviewed as code. Comments ('#' at the start of
// a line, at the top, between blocks and between input lines) stay as they are. An empty line of
// output is shown as "." because an empty line ends the block; blanks at a line's end are cut.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "testing/line.h"

namespace quorate::testing {

// One per file: what a file builds up does not leak into the next.
class Script {
 public:
  Script() = default;
  Script(const Script&) = delete;
  Script& operator=(const Script&) = delete;
  virtual ~Script() = default;

  // Does one step and says what happened, in whole lines; a last newline is added if it lacks.
  // An unknown verb or a bad argument is a ScriptError, which becomes "error: ..." in the output.
  virtual std::string run(const Line& line) = 0;
};

using ScriptFactory = std::function<std::unique_ptr<Script>()>;

// Runs every *.txt of the directory in order of name, one gtest failure per file that differs,
// with a diff that names file and line. A directory without any transcript is a failure too.
void check_transcripts(const std::string& directory, const ScriptFactory& factory);

}  // namespace quorate::testing
