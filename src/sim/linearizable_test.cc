// SPDX-License-Identifier: Apache-2.0
// Histories that some order explains, and histories that none does.
#include "sim/check/linearizable.h"

#include <gtest/gtest.h>

#include <sstream>

#include "base/prng.h"

namespace quorate::sim {
namespace {

// One operation a line: "start end what"; an end of "?" is an unknown outcome.
//   read V | write V | delete ok|no | cas E V ok|no | add N SUM      (V may be "none")
std::vector<Operation> parse(const std::string& text) {
  std::vector<Operation> history;
  std::istringstream lines(text);
  const auto value = [](const std::string& word) {
    return word == "none" || word.empty() ? kAbsent : std::stoll(word);
  };
  for (std::string line; std::getline(lines, line, ';');) {
    std::istringstream words(line);
    std::string start, end, kind, a, b, c;
    words >> start >> end >> kind >> a >> b >> c;
    Operation op;
    op.start = Instant() + Duration::seconds(std::stoll(start));
    op.unknown = end == "?";
    op.end = op.unknown ? op.start : Instant() + Duration::seconds(std::stoll(end));
    if (kind == "read") {
      op.result = value(a);
    } else if (kind == "write") {
      op.kind = OpKind::kWrite;
      op.argument = value(a);
    } else if (kind == "delete") {
      op.kind = OpKind::kDelete;
      op.ok = a == "ok";
    } else if (kind == "cas") {
      op.kind = OpKind::kCas;
      op.expected = value(a);
      op.argument = value(b);
      op.ok = c == "ok";
    } else {
      op.kind = OpKind::kAdd;
      op.argument = value(a);
      op.result = value(b);
    }
    history.push_back(op);
  }
  return history;
}

struct Row {
  const char* name;
  const char* history;
  bool good;
};

const Row kRows[] = {
    {"a key is absent at first", "1 2 read none", true},
    {"a value out of nowhere", "1 2 read 7", false},
    {"a read after a write sees it", "1 2 write 1; 3 4 read 1", true},
    {"a read after a write misses it", "1 2 write 1; 3 4 read none", false},
    {"a read beside a write may miss it", "1 4 write 1; 2 3 read none", true},
    {"a read beside a write may see it", "1 4 write 1; 2 3 read 1", true},
    {"seen, then unseen", "1 9 write 1; 2 3 read 1; 4 5 read none", false},
    {"an old value after a newer one", "1 2 write 1; 3 4 write 2; 5 6 read 1", false},
    {"two writes at once, either order", "1 4 write 1; 1 4 write 2; 5 6 read 1; 7 8 read 1", true},
    {"two writes at once, both orders", "1 4 write 1; 1 4 write 2; 5 6 read 1; 7 8 read 2", false},
    {"an unknown write takes effect late", "1 ? write 1; 3 4 read none; 5 6 read 1", true},
    {"an unknown write takes effect once",
     "1 ? write 1; 2 3 write 2; 4 5 read 1; 6 7 write 3; 8 9 read 1", false},
    {"an unknown write need not take effect", "1 ? write 1; 3 4 read none", true},
    {"no write takes effect before it starts", "1 2 read 5; 3 ? write 5", false},
    {"a lost write", "1 2 write 1; 3 4 write 2; 5 6 read none", false},
    {"delete tells whether it was there", "1 2 write 1; 3 4 delete ok; 5 6 delete no", true},
    {"delete of what is gone cannot be ok", "1 2 write 1; 3 4 delete ok; 5 6 delete ok", false},
    {"an unknown delete explains a gap", "1 2 write 1; 3 ? delete no; 5 6 read none", true},
    {"a swap from the value", "1 2 write 1; 3 4 cas 1 2 ok; 5 6 read 2", true},
    {"two swaps from one value", "1 2 write 1; 3 6 cas 1 2 ok; 3 6 cas 1 3 ok", false},
    {"one of two swaps fails", "1 2 write 1; 3 6 cas 1 2 ok; 3 6 cas 1 3 no; 7 8 read 2", true},
    {"a swap refused without cause", "1 2 write 1; 3 4 cas 1 2 no", false},
    {"a swap applied twice", "1 2 write 1; 3 4 cas 1 2 ok; 5 6 write 1; 7 8 read 2", false},
    {"a swap from absent", "1 2 cas none 4 ok; 3 4 read 4", true},
    {"a counter counts", "1 2 add 1 1; 3 4 add 2 3; 5 6 read 3", true},
    {"a counter counted twice", "1 2 add 1 1; 3 4 add 1 3", false},
    {"an unknown add explains a jump", "1 2 add 1 1; 3 ? add 1 0; 5 6 add 1 3", true},
    {"an unknown add explains one jump only", "1 2 add 1 1; 3 ? add 1 0; 5 6 add 1 4", false},
    {"two adds at once have two sums", "1 4 add 1 1; 1 4 add 1 1", false},
    {"stale read beside a later writer",
     "1 2 write 1; 3 4 write 2; 5 8 write 3; 6 7 read 1", false},
};

TEST(linearizable, table_of_good_and_bad_histories) {
  for (const Row& row : kRows) {
    const Verdict verdict = check_linearizable(parse(row.history));
    EXPECT_EQ(verdict.kind == Verdict::Kind::kLinearizable, row.good)
        << row.name << ": " << verdict.story;
  }
}

// A key that is truly linearizable: each operation takes effect at a random moment of its span.
std::vector<Operation> honest_history(uint64_t seed, size_t operations, int clients) {
  Prng prng(seed);
  std::vector<Operation> history;
  struct Client {
    int64_t free_at = 0;
  };
  std::vector<Client> all(static_cast<size_t>(clients));
  std::vector<std::pair<int64_t, size_t>> order;
  for (size_t i = 0; i < operations; ++i) {
    const size_t who = prng.below(all.size());
    Operation op;
    op.client = static_cast<uint32_t>(who);
    const int64_t start = all[who].free_at + prng.between(1, 50);
    const int64_t end = start + prng.between(1, 100);
    all[who].free_at = end;
    op.start = Instant::from_nanos(start);
    op.end = Instant::from_nanos(end);
    op.kind = static_cast<OpKind>(prng.below(4));
    op.argument = static_cast<int64_t>(1000 + i);
    op.unknown = prng.chance(1, 100);
    // An unknown one may take effect long after its client went on.
    const int64_t effect = op.unknown ? start + prng.between(1, 5000) : prng.between(start, end);
    order.emplace_back(effect, i);
    history.push_back(op);
  }
  std::sort(order.begin(), order.end());
  int64_t state = kAbsent;
  for (const auto& [when, i] : order) {
    Operation& op = history[i];
    op.expected = prng.chance(1, 2) ? state : 1000 + static_cast<int64_t>(prng.below(operations));
    op.result = state;
    op.ok = op.kind == OpKind::kCas ? state == op.expected : state != kAbsent;
    if (op.kind == OpKind::kWrite || (op.kind == OpKind::kCas && op.ok)) {
      state = op.argument;
    } else if (op.kind == OpKind::kDelete) {
      state = kAbsent;
    }
  }
  return history;
}

TEST(linearizable, thousands_of_honest_operations_on_one_key_are_accepted) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const Verdict verdict = check_linearizable(honest_history(seed, 2000, 5));
    EXPECT_EQ(verdict.kind, Verdict::Kind::kLinearizable) << seed << " " << verdict.story;
  }
}

TEST(linearizable, one_read_that_goes_back_in_time_is_found_among_thousands) {
  int found = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    std::vector<Operation> history = honest_history(seed, 1000, 4);
    // The first write's value, read at the end.
    for (const Operation& op : history) {
      if (op.kind == OpKind::kWrite && !op.unknown) {
        Operation stale;
        stale.result = op.argument;
        stale.start = Instant::from_nanos(10'000'000);
        stale.end = Instant::from_nanos(10'000'001);
        history.push_back(stale);
        break;
      }
    }
    found += check_linearizable(history).kind == Verdict::Kind::kViolated ? 1 : 0;
  }
  EXPECT_EQ(found, 20);
}

TEST(linearizable, a_story_names_the_operation_that_nothing_explains) {
  const Verdict verdict = check_linearizable(parse("1 2 write 1; 3 4 read none"));
  EXPECT_NE(verdict.story.find("read : none"), std::string::npos) << verdict.story;
}

}  // namespace
}  // namespace quorate::sim
