// SPDX-License-Identifier: Apache-2.0
// Every family of commands as a story: a line is sent as it stands, and what comes back is shown
// byte for byte, with a blank for each end of a line and \xHH for what cannot be printed.
//
//   name> GET k          from another connection, by that name (without: a)
//   advance 10s          time passes          hold, release N, release_back N   answers wait
//   poll, leave NAME      locks are looked after; a peer goes
//   led no, weather unavailable, leaderless yes, guarded, forget NAME           as the words say
#include <gtest/gtest.h>

#include "edge/resp/testing.h"
#include "testing/transcript.h"

namespace quorate::edge::resp {
namespace {

using testing::Line;

std::string shown(std::string_view bytes) {
  std::string text;
  for (size_t at = 0; at < bytes.size(); ++at) {
    const auto byte = static_cast<uint8_t>(bytes[at]);
    if (bytes.substr(at, 2) == "\r\n") {
      text += ' ';
      ++at;
    } else if (byte == '\n') {
      text += "\n";
    } else if (byte < 0x20 || byte >= 0x7f) {
      char hex[8];
      std::snprintf(hex, sizeof(hex), "\\x%02x", byte);
      text += hex;
    } else {
      text += bytes[at];
    }
  }
  return text;
}

// Knows ann, by the password "secret", for what begins with "ann:"; and the token "root".
class TestGate final : public Gate {
 public:
  void admit(const Credentials& credentials, std::string_view, Admitted done) override {
    if (credentials.user.empty() && credentials.secret == "root") {
      done(std::make_shared<const Caller>(
          "root", std::vector<Caller::Grant>{{Caller::kEveryService, true, 0, "", rights::kAll}}));
    } else if (knows_ann && credentials.user == "ann" && credentials.secret == "secret") {
      const auto kv = static_cast<uint8_t>(service::ServiceId::kKv);
      done(std::make_shared<const Caller>(
          "ann", std::vector<Caller::Grant>{
                     {kv, false, Caller::kDefaultScope, "ann:", rights::kRead | rights::kWrite}}));
    } else {
      done(Status(Code::kUnauthenticated, "wrong credentials"));
    }
  }
  void note(std::string_view, std::string_view, std::string_view, std::string_view) override {}

  bool knows_ann = true;
};

class RespScript final : public testing::Script {
 public:
  std::string run(const Line& line) override {
    TwoGroups& groups = rig_.groups;
    if (line.verb == "advance") {
      rig_.clock.advance(Duration::micros(testing::parse_duration_micros(line.arg(0))));
    } else if (line.verb == "hold") {
      groups.holds = true;
    } else if (line.verb == "release" || line.verb == "release_back") {
      groups.release(line.arg_number(0), line.verb == "release_back");
      return heard();
    } else if (line.verb == "flow") {
      groups.holds = false;
    } else if (line.verb == "poll") {
      rig_.locks.poll();
      return heard();
    } else if (line.verb == "leave") {
      rig_.peer(line.arg(0)).hang_up();
    } else if (line.verb == "led") {
      groups.led = line.arg(0) == "yes";
    } else if (line.verb == "leaderless") {
      groups.leaderless = line.arg(0) == "yes";
    } else if (line.verb == "weather") {
      groups.weather = line.arg(0) == "fine" ? Status()
                       : line.arg(0) == "unknown"
                           ? Status(Code::kUnknownOutcome, "no answer in time")
                           : Status(Code::kUnavailable, "no leader for the group in time");
    } else if (line.verb == "guarded") {
      rig_.face.context().gate = &gate_;
    } else if (line.verb == "forget") {
      gate_.knows_ann = false;
    } else if (line.verb == "held") {
      return std::to_string(groups.held()) + " held";
    } else {
      return send(line.raw);
    }
    return "";
  }

 private:
  std::string send(std::string_view raw) {
    const size_t mark = raw.find("> ");
    const bool is_named = mark != std::string_view::npos && mark < 8;
    const std::string name = is_named ? std::string(raw.substr(0, mark)) : "a";
    TestPeer& peer = rig_.peer(name);
    const std::string said =
        shown(peer.ask(std::string(raw.substr(is_named ? mark + 2 : 0)) + "\r\n"));
    return said.empty() ? (peer.wire().closed ? "(closed)" : "(nothing)") : said;
  }
  std::string heard() {
    std::string all;
    for (const auto& [name, peer] : rig_.peers) {
      const std::string text = shown(peer->hear());
      all += text.empty() ? "" : (rig_.peers.size() > 1 ? name + ": " : "") + text + "\n";
    }
    return all.empty() ? "(nothing)" : all;
  }

  TestGate gate_;
  Rig rig_;
};

TEST(resp, transcripts) {
  testing::check_transcripts(QUORATE_TESTDATA, [] { return std::make_unique<RespScript>(); });
}

}  // namespace
}  // namespace quorate::edge::resp
