// SPDX-License-Identifier: Apache-2.0
#include "testing/transcript.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string_view>
#include <system_error>
#include <vector>

#include "testing/transcript_text.h"

namespace quorate::testing {
namespace {

namespace fs = std::filesystem;

bool must_rewrite() {
  const char* value = std::getenv("QUORATE_REWRITE");
  return value != nullptr && std::string_view(value) == "1";
}

std::vector<fs::path> transcripts_of(const std::string& directory) {
  std::vector<fs::path> paths;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, error)) {
    if (entry.path().extension() == ".txt") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::string read_all(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// Through a second name, so that a rewrite that is interrupted leaves the old story whole.
bool write_all(const fs::path& path, const std::string& text) {
  const fs::path fresh = path.string() + ".new";
  std::ofstream out(fresh, std::ios::binary);
  out << text;
  out.close();
  std::error_code error;
  if (out) fs::rename(fresh, path, error);
  return out && !error;
}

// Runs all blocks, puts what they said into the transcript, and returns the differences.
std::string run_all(const fs::path& path, Transcript& transcript, Script& script) {
  std::string differences;
  for (Block& block : transcript.blocks) {
    std::vector<std::string> actual = run_block(block, script);
    const std::string difference = describe_difference(block.expected, actual);
    if (!difference.empty()) {
      differences += path.string() + ":" + std::to_string(block.input_line) + ":\n";
      for (const std::string& line : block.input) differences += "    " + line + '\n';
      differences += "    ----\n" + difference + '\n';
    }
    block.expected = std::move(actual);
  }
  return differences;
}

void check_transcript(const fs::path& path, Script& script) {
  const std::string text = read_all(path);
  Transcript transcript = parse_transcript(text);
  if (!transcript.error.empty()) {
    ADD_FAILURE_AT(path.c_str(), 1) << path.string() << ": " << transcript.error;
    return;
  }
  const std::string differences = run_all(path, transcript, script);
  if (differences.empty()) return;
  if (!must_rewrite()) {
    ADD_FAILURE_AT(path.c_str(), 1)
        << "the transcript and the code differ (- expected, + actual; ./dev test --rewrite takes "
           "the actual)\n"
        << differences;
  } else if (!write_all(path, render_transcript(transcript))) {
    ADD_FAILURE_AT(path.c_str(), 1) << "cannot rewrite " << path.string();
  }
}

}  // namespace

void check_transcripts(const std::string& directory, const ScriptFactory& factory) {
  const std::vector<fs::path> paths = transcripts_of(directory);
  if (paths.empty()) ADD_FAILURE() << "no transcript (*.txt) in " << directory;
  for (const fs::path& path : paths) check_transcript(path, *factory());
}

}  // namespace quorate::testing
