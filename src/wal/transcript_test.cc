// SPDX-License-Identifier: Apache-2.0
// Recovery as stories. Verbs:
//   append GROUP FIRST PAYLOAD... [term=N]     state GROUP term=N vote=N commit=N
//   compact GROUP INDEX term=N                 remove GROUP
//   flush            write and sync            write        begin a flush, let nothing complete
//   mark             let the log note what is durable
//   crash [keep|tear]                          restart after it comes by `open`
//   flip TEXT        one bit of the bytes that are TEXT, in every segment
//   smash BATCH      zeros over all of a batch            cut SEGMENT BYTES
//   lose SEGMENT     the file is gone
//   open             recover, and say what was found      trust GROUP
//   read GROUP       the entries; a hole is "?"
#include <gtest/gtest.h>

#include "testing/transcript.h"
#include "wal/log_fixture_test.h"
#include "wal/scan.h"
#include "wal/segments.h"

namespace quorate::wal {
namespace {

using testing::Line;
using testing::ScriptError;

class WalScript final : public testing::Script {
 public:
  WalScript() {
    log_.options.spare_segments = 0;
    log_.options.segment_bytes = 4096;
    log_.crash(Crash::kLose);
    log_.disk.restore({});
    log_.open();  // batch 1, of segment 1, says nothing; the first flush is batch 2
  }
  std::string run(const Line& line) override {
    const auto verb = std::find_if(std::begin(kVerbs), std::end(kVerbs),
                                   [&](const Verb& each) { return each.name == line.verb; });
    if (verb == std::end(kVerbs)) {
      throw ScriptError("unknown verb " + line.verb);
    }
    return (this->*verb->run)(line);
  }

 private:
  struct Verb {
    std::string_view name;
    std::string (WalScript::*run)(const Line&);
  };
  static const Verb kVerbs[15];

  static uint32_t group_of(const Line& line) { return static_cast<uint32_t>(line.arg_number(0)); }

  std::string append(const Line& line) {
    log_.append(group_of(line), line.arg_number(1), {line.args.begin() + 2, line.args.end()},
                line.option_number("term", 1));
    return "";
  }
  std::string state(const Line& line) {
    log_.state(group_of(line), {Term(line.option_number("term")),
                                NodeId(static_cast<uint32_t>(line.option_number("vote"))),
                                Index(line.option_number("commit"))});
    return "";
  }
  std::string compact(const Line& line) {
    log_.wal->compact(GroupId(group_of(line)), Index(line.arg_number(1)),
                      Term(line.option_number("term")));
    return "";
  }
  std::string remove(const Line& line) {
    log_.wal->remove_group(GroupId(group_of(line)));
    return "";
  }
  std::string trust(const Line& line) {
    log_.wal->trust(GroupId(group_of(line)));
    return "";
  }
  std::string flush(const Line&) { return log_.flush().to_string(); }
  std::string write(const Line&) {
    log_.wal->flush([](Status) {});
    return "";
  }
  std::string mark(const Line&) {
    log_.mark();
    return "";
  }
  std::string crash(const Line& line) {
    const std::string mode = line.has_arg(0) ? line.arg(0) : "lose";
    log_.crash(mode == "keep" ? Crash::kKeep : mode == "tear" ? Crash::kTear : Crash::kLose);
    return "";
  }
  std::string flip(const Line& line) {
    size_t flipped = 0;
    for (auto& [path, node] : log_.disk.names()) {
      const size_t at = node->bytes.find(line.arg(0));
      if (at != std::string::npos) {
        log_.disk.flip(path, at, 1);
        ++flipped;
      }
    }
    return flipped == 0 ? "not found" : "";
  }
  std::string smash(const Line& line) {
    for (auto& [path, node] : log_.disk.names()) {
      SegmentBytes segment{segment_number(path.substr(4)), node->bytes, 0};
      uint64_t at = 0;
      while (const auto found = next_batch(segment, 0, at)) {
        at = found->end();
        if (found->header.number == line.arg_number(0)) {
          std::fill_n(node->bytes.begin() + static_cast<ptrdiff_t>(found->at),
                      found->header.total_bytes(), '\0');
          node->durable = node->bytes;
        }
      }
    }
    return "";
  }
  std::string cut(const Line& line) {
    log_.disk.cut(path_of(line), line.arg_number(1));
    return "";
  }
  std::string lose(const Line& line) {
    auto image = log_.disk.image();
    image.erase(path_of(line));
    log_.disk.restore(image);
    return "";
  }
  static std::string path_of(const Line& line) {
    return "wal/" + segment_name(static_cast<uint32_t>(line.arg_number(0)));
  }
  std::string read(const Line& line) { return log_.contents(group_of(line)); }
  std::string open(const Line&) {
    log_.open();
    if (!log_.opened.ok()) {
      return log_.opened.to_string();
    }
    std::string text = log_.notes;
    for (const RecoveredGroup& group : log_.groups) {
      text += describe(group) + "\n";
    }
    return text + (log_.groups_unknown ? "there may have been other groups\n" : "");
  }
  static std::string describe(const RecoveredGroup& group) {
    const auto number = [](auto id) { return std::to_string(id.value()); };
    std::string text = "group " + number(group.group) + ": entries " +
                       number(group.compacted.next()) + ".." + number(group.last) + " term " +
                       number(group.state.term) + " vote " + number(group.state.vote) + " commit " +
                       number(group.state.commit);
    for (const Hole& hole : group.holes) {
      text += ", hole " + number(hole.first) + ".." + number(hole.last);
    }
    return text + (group.tail_suspect ? ", tail suspect" : "");
  }

  LogFixture log_;
};

const WalScript::Verb WalScript::kVerbs[15] = {
    {"append", &WalScript::append}, {"state", &WalScript::state}, {"compact", &WalScript::compact},
    {"remove", &WalScript::remove}, {"trust", &WalScript::trust}, {"flush", &WalScript::flush},
    {"write", &WalScript::write},   {"mark", &WalScript::mark},   {"crash", &WalScript::crash},
    {"flip", &WalScript::flip},     {"smash", &WalScript::smash}, {"cut", &WalScript::cut},
    {"lose", &WalScript::lose},     {"read", &WalScript::read},   {"open", &WalScript::open},
};

TEST(wal, transcripts) {
  testing::check_transcripts(QUORATE_TESTDATA, [] { return std::make_unique<WalScript>(); });
}

}  // namespace
}  // namespace quorate::wal
