// SPDX-License-Identifier: Apache-2.0
// Stories of tokens that were told, and which of the last lines give one twice.
#include "sim/workloads/given.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

namespace quorate::sim {
namespace {

namespace lock = service::lock;

// Lines end with ";". A line is "owner token lock...", a lock with "r:" shared, with "p:" permits;
// or "owner lost seconds", which it heard of a question asked so many seconds before.
// The n-th line comes n seconds after the start; the domain is 2. The last kind is the result.
Given::Kind tell(const std::string& story) {
  Given given;
  Given::Kind last = Given::Kind::kNew;
  Instant now;
  std::istringstream lines(story);
  for (std::string line; std::getline(lines, line, ';');) {
    now = now + Duration::seconds(1);
    std::istringstream words(line);
    std::string owner, token;
    words >> owner >> token;
    if (token == "lost") {
      int64_t ago = 0;
      words >> ago;
      given.lost(owner, 2, now - Duration::seconds(ago));
      continue;
    }
    std::vector<std::string> names;
    for (std::string name; words >> name;) {
      names.push_back(name);
    }
    lock::Acquire asked{.who = {lock::DomainId(2), owner}};
    for (const std::string& name : names) {
      const bool is_plain = name.size() < 2 || name[1] != ':';
      asked.items.push_back({.name = std::string_view(name).substr(is_plain ? 0 : 2),
                             .mode = is_plain         ? lock::Mode::kExclusive
                                     : name[0] == 'r' ? lock::Mode::kShared
                                                      : lock::Mode::kPermits});
    }
    last = given.note(GroupId(1), asked, Token(std::stoull(token)), now);
  }
  return last;
}

struct Row {
  const char* name;
  const char* story;
  Given::Kind kind;
};

constexpr Given::Kind kNew = Given::Kind::kNew;
constexpr Given::Kind kEntered = Given::Kind::kEntered;
constexpr Given::Kind kTwice = Given::Kind::kTwice;

const Row kRows[] = {
    {"each has its own", "a 1 x; b 2 x; a 3 y", kNew},
    {"what was given earlier may be heard later", "a 2 x; b 1 x", kNew},
    // Seed 700454 of the plan locks: an owner that took its lease for lost had another lock
    // meanwhile, and entered the first one, which it had by the cluster all the time.
    {"an owner enters what it has", "a 67 x; a 72 y; a 67 r:x", kEntered},
    {"it does so again and again", "a 1 x; a 1 x; a 1 x", kEntered},
    {"it enters what it has shared with others", "a 1 r:x; b 2 r:x; a 1 r:x", kEntered},
    {"it enters one of two", "a 1 x y; a 1 y", kEntered},
    {"it enters two with two tokens", "a 1 x; a 2 y; a 2 x y", kEntered},
    {"what it had is told with another one, and keeps its token", "a 1 x; a 2 x y; a 1 x",
     kEntered},
    {"others may have another lock", "a 1 x; b 2 y; a 1 x", kEntered},
    {"after it was told that it is lost", "a 1 x; a lost 1; a 1 x", kTwice},
    {"what it was told after the question is not lost", "a 1 x; a lost 2; a 1 x", kEntered},
    {"a loss of somebody else", "a 1 x; b lost 0; a 1 x", kEntered},
    {"to another owner", "a 1 x; b 1 x", kTwice},
    {"to another owner that shares it", "a 1 r:x; b 1 r:x", kTwice},
    {"for another lock", "a 1 x; a 1 y", kTwice},
    {"for another lock too", "a 1 x; a 1 x y", kTwice},
    {"for one with a greater token", "a 1 x; a 2 y; a 1 x y", kTwice},
    {"for another owner's lock too", "a 2 x; b 1 y; a 2 x y", kTwice},
    {"permits", "a 1 p:x; a 1 p:x", kTwice},
    {"somebody had it meanwhile", "a 1 x; b 2 x; a 1 x", kTwice},
    {"somebody shared it meanwhile", "a 1 x; b 2 r:x; a 1 x", kTwice},
    {"somebody had meanwhile what was shared", "a 1 r:x; b 2 x; a 1 r:x", kTwice},
    {"somebody had it, and others share it since", "a 1 r:x; b 2 x; c 3 r:x; a 1 r:x", kTwice},
    {"somebody had it, who heard of it earlier", "b 2 x; a 1 x; a 1 x", kTwice},
    {"somebody had one of two", "a 1 x; a 2 y; b 3 x; a 2 x y", kTwice},
    {"after an upgrade", "a 1 r:x; a 2 x; a 1 r:x", kTwice},
};

TEST(given, table_of_tokens_that_are_new_entered_or_given_twice) {
  for (const Row& row : kRows) {
    EXPECT_EQ(tell(row.story), row.kind) << row.name;
  }
}

TEST(given, groups_have_tokens_of_their_own) {
  Given given;
  const lock::Acquire asked{.who = {lock::DomainId(1), "a"}, .items = {{.name = "x"}}};
  EXPECT_EQ(given.note(GroupId(1), asked, Token(1), Instant()), kNew);
  EXPECT_EQ(given.note(GroupId(2), asked, Token(1), Instant()), kNew);
}

}  // namespace
}  // namespace quorate::sim
