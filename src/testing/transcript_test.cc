// SPDX-License-Identifier: Apache-2.0
// The transcript runner, tested on a script with a single counter.
#include "testing/transcript.h"

#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "testing/transcript_text.h"

namespace quorate::testing {
namespace {

namespace fs = std::filesystem;

class CounterScript : public Script {
 public:
  std::string run(const Line& line) override {
    if (line.verb == "add") {
      count_ += line.arg_number(0) * line.option_number("times", 1);
      return "count=" + std::to_string(count_);
    }
    if (line.verb == "quiet") return "";
    if (line.verb == "gap") return "above\n\nbelow  \n";
    if (line.verb == "echo") return line.arg(0);
    throw ScriptError("no such verb: " + line.verb);
  }

 private:
  uint64_t count_ = 0;
};

std::unique_ptr<Script> make_counter() { return std::make_unique<CounterScript>(); }

// A directory that lives as long as the test.
class Directory {
 public:
  Directory() {
    std::string name = fs::temp_directory_path() / "quorate_transcript_XXXXXX";
    path_ = mkdtemp(name.data());
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  ~Directory() { fs::remove_all(path_); }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
  }
  [[nodiscard]] std::string read(const std::string& name) const {
    std::ostringstream text;
    text << std::ifstream(path_ / name, std::ios::binary).rdbuf();
    return text.str();
  }
  [[nodiscard]] std::string path() const { return path_; }

 private:
  fs::path path_;
};

// Sets the variable for one scope, and leaves it as it was.
class Rewrite {
 public:
  explicit Rewrite(const char* value) {
    if (const char* old = std::getenv("QUORATE_REWRITE")) old_ = old;
    setenv("QUORATE_REWRITE", value, 1);
  }
  Rewrite(const Rewrite&) = delete;
  Rewrite& operator=(const Rewrite&) = delete;
  ~Rewrite() { setenv("QUORATE_REWRITE", old_.c_str(), 1); }

 private:
  std::string old_;
};

std::vector<std::string> failures_of(const Directory& directory) {
  ::testing::TestPartResultArray results;
  {
    ::testing::ScopedFakeTestPartResultReporter reporter(
        ::testing::ScopedFakeTestPartResultReporter::INTERCEPT_ONLY_CURRENT_THREAD, &results);
    check_transcripts(directory.path(), make_counter);
  }
  std::vector<std::string> messages;
  for (int i = 0; i < results.size(); ++i) {
    messages.emplace_back(results.GetTestPartResult(i).message());
  }
  return messages;
}

TEST(transcript, stories_beside_the_code_are_checked) {
  check_transcripts(QUORATE_TESTDATA, make_counter);
}

TEST(transcript, a_directory_without_a_transcript_fails) {
  const Directory directory;
  const Rewrite off("0");
  EXPECT_EQ(failures_of(directory).size(), 1u);
  directory.write("notes.md", "add 1\n----\ncount=1\n");
  EXPECT_EQ(failures_of(directory).size(), 1u);
}

TEST(transcript, each_file_starts_with_a_fresh_script) {
  const Directory directory;
  const Rewrite off("0");
  directory.write("a.txt", "add 1\n----\ncount=1\n");
  directory.write("b.txt", "add 1\n----\ncount=1\n");
  EXPECT_TRUE(failures_of(directory).empty());
}

TEST(transcript, a_difference_is_one_failure_per_file_and_names_the_line) {
  const Directory directory;
  const Rewrite off("0");
  directory.write("bad.txt", "# Story.\n\nadd 1\nadd 1\n----\ncount=1\ncount=3\n\nadd 1\n----\n");
  directory.write("good.txt", "add 1\n----\ncount=1\n");
  const std::vector<std::string> failures = failures_of(directory);
  ASSERT_EQ(failures.size(), 1u);
  EXPECT_NE(failures[0].find("bad.txt:3:\n    add 1\n    add 1\n    ----\n    count=1\n"
                             "  - count=3\n  + count=2\n"),
            std::string::npos)
      << failures[0];
  EXPECT_NE(failures[0].find("bad.txt:9:\n    add 1\n    ----\n  + count=3\n"), std::string::npos)
      << failures[0];
}

TEST(transcript, missing_and_superfluous_lines_are_differences) {
  EXPECT_EQ(describe_difference({"a", "b"}, {"a", "b"}), "");
  EXPECT_EQ(describe_difference({"a", "b"}, {"b"}), "  - a\n    b\n");
  EXPECT_EQ(describe_difference({"b"}, {"a", "b"}), "  + a\n    b\n");
  EXPECT_EQ(describe_difference({}, {"a"}), "  + a\n");
  EXPECT_EQ(describe_difference({"a"}, {}), "  - a\n");
}

TEST(transcript, rewriting_replaces_only_the_expected_parts) {
  const Directory directory;
  const Rewrite on("1");
  directory.write("story.txt",
                  "# Top.\n\n# Before.\nadd 1\n# Between.\nadd 1\n----\nwrong\n\n\nadd 1\n----\n"
                  "count=3\n\n# End.\n");
  EXPECT_TRUE(failures_of(directory).empty());
  EXPECT_EQ(directory.read("story.txt"),
            "# Top.\n\n# Before.\nadd 1\n# Between.\nadd 1\n----\ncount=1\ncount=2\n\n\nadd 1\n"
            "----\ncount=3\n\n# End.\n");
  EXPECT_EQ(fs::exists(directory.path() + "/story.txt.new"), false);
}

TEST(transcript, only_the_value_one_asks_for_a_rewrite) {
  const Directory directory;
  const Rewrite off("0");
  directory.write("story.txt", "add 1\n----\nwrong\n");
  EXPECT_EQ(failures_of(directory).size(), 1u);
  EXPECT_EQ(directory.read("story.txt"), "add 1\n----\nwrong\n");
}

TEST(transcript, what_is_no_transcript_fails_even_when_rewriting) {
  struct Row {
    const char* text;
    const char* error;
  };
  const Row rows[] = {
      {"", "line 1: there is no block"},
      {"# Only a comment.\n", "line 1: there is no block"},
      {"# Top.\nadd 1\n", "line 2: the input is not followed by ----"},
      {"add 1\n\n----\ncount=1\n", "line 1: the input is not followed by ----"},
      {"add 1\n----\ncount=1\n\n----\ncount=1\n", "line 5: a block has no input"},
  };
  for (const Row& row : rows) {
    const Directory directory;
    const Rewrite on("1");
    EXPECT_EQ(parse_transcript(row.text).error, row.error);
    directory.write("story.txt", row.text);
    EXPECT_EQ(failures_of(directory).size(), 1u);
    EXPECT_EQ(directory.read("story.txt"), row.text);
  }
}

TEST(transcript, what_is_parsed_is_rendered_back) {
  const char* text = "# Top.\n\nadd 1\n----\ncount=1\n\n# Between.\n\nquiet\n----\n\n# End.\n";
  EXPECT_EQ(render_transcript(parse_transcript(text)), text);
}

TEST(line, words_and_options_are_told_apart) {
  const Line line = parse_line("put  \"a key\" x=1 ttl=10s fast =odd a=b=c q=\"two words\"", 7);
  EXPECT_EQ(line.verb, "put");
  EXPECT_EQ(line.number, 7);
  EXPECT_EQ(line.args, (std::vector<std::string>{"a key", "fast", "=odd"}));
  EXPECT_EQ(line.options, (std::map<std::string, std::string>{
                              {"x", "1"}, {"ttl", "10s"}, {"a", "b=c"}, {"q", "two words"}}));
  EXPECT_EQ(line.option_number("x"), 1u);
  EXPECT_EQ(line.option("none", "fallback"), "fallback");
}

TEST(line, a_quoted_word_keeps_any_byte) {
  EXPECT_EQ(parse_line(R"(x "\"\\\n\r\t\x41\xfe")", 1).arg(0), "\"\\\n\r\tA\xfe");
  EXPECT_EQ(parse_line(R"(x "\0")", 1).arg(0), std::string(1, '\0'));
  EXPECT_EQ(parse_line(R"(x "a=b" "")", 1).args, (std::vector<std::string>{"a=b", ""}));
}

TEST(line, a_bad_line_says_why) {
  struct Row {
    const char* raw;
    const char* error;
  };
  const Row rows[] = {
      {"", "the line is empty"},
      {"a=b", "the line starts with an option"},
      {"x \"open", "a quote does not end"},
      {"x \"open\\", "a quote does not end"},
      {"x \"\\q\"", "no such escape: \\q"},
      {"x \"\\x4", "\\x needs two hexadecimal digits"},
      {"x \"\\xzz\"", "\\x needs two hexadecimal digits"},
      {"x a=1 a=2", "option a= is given twice"},
  };
  for (const Row& row : rows) {
    try {
      static_cast<void>(parse_line(row.raw, 1));
      ADD_FAILURE() << row.raw;
    } catch (const ScriptError& error) {
      EXPECT_STREQ(error.what(), row.error) << row.raw;
    }
  }
}

TEST(line, times_have_units) {
  struct Row {
    const char* word;
    int64_t micros;
  };
  const Row rows[] = {{"7us", 7}, {"150ms", 150'000}, {"10s", 10'000'000}, {"2m", 120'000'000},
                      {"1h", 3'600'000'000}};
  for (const Row& row : rows) EXPECT_EQ(parse_duration_micros(row.word), row.micros);
  for (const char* word : {"", "10", "s", "-1s", "1d", "9223372036854775807s"}) {
    EXPECT_THROW(static_cast<void>(parse_duration_micros(word)), ScriptError) << word;
  }
}

}  // namespace
}  // namespace quorate::testing
