// SPDX-License-Identifier: Apache-2.0
// The log against a std::map, over many seeds: random appends, replacements, compactions, removals,
// flushes and crashes. After a crash the log must be what the model was after some operation, none
// of them before the last one that a flush has acknowledged as durable.
#include <gtest/gtest.h>

#include <deque>

#include "wal/log_fixture_test.h"

namespace quorate::wal {
namespace {

struct ModelGroup {
  State state;
  uint64_t compacted = 0;
  uint64_t compacted_term = 0;
  uint64_t last = 0;
  std::map<uint64_t, std::pair<uint64_t, std::string>> entries;  // term, payload
  bool operator==(const ModelGroup&) const = default;
};
using Model = std::map<uint32_t, ModelGroup>;

class ModelRun {
 public:
  ModelRun(uint64_t seed, SyncPolicy policy) : prng_(seed), policy_(policy) {
    log_.prng = Prng(seed + 1000);
    log_.options.sync = policy;
    log_.options.segment_bytes = uint64_t{2048} << prng_.below(4);
    log_.options.spare_segments = prng_.below(3);
    log_.options.rewrite_after_segments = 2 + prng_.below(4);
    log_.restart();
  }

  void play(int steps) {
    history_.push_back({});
    for (int i = 0; i < steps && !::testing::Test::HasFailure(); ++i) {
      const uint64_t dice = prng_.below(100);
      if (dice < 60) {
        append();
      } else if (dice < 68) {
        compact();
      } else if (dice < 70) {
        remove();
      } else if (dice < 90) {
        flush();
      } else if (dice < 97) {
        log_.loop.advance(Duration::millis(static_cast<int64_t>(prng_.below(40))));
      } else {
        crash();
      }
      check_read();
    }
  }
  // The bytes of acknowledged entries rot: each must be right, or be reported.
  void rot() {
    log_.wal->flush([](Status) {});
    log_.loop.advance(Duration::seconds(1));
    log_.crash(Crash::kKeep);
    for (auto& [path, node] : log_.disk.names()) {
      // One flip for each so many bytes: both copies of a lone header are not lost at once.
      const size_t flips =
          path.find("segment") == std::string::npos ? 0 : 1 + node->bytes.size() / 1500;
      for (size_t i = 0; i < flips && !node->bytes.empty(); ++i) {
        log_.disk.flip(path, prng_.below(node->bytes.size()), static_cast<int>(i % 8));
      }
    }
    for (int again = 0; again < 2; ++again) {
      log_.open();
      ASSERT_TRUE(log_.opened.ok());
      for (const auto& [id, group] : model()) {
        check_rotten(id, group);
      }
      log_.crash(Crash::kLose);
    }
  }

 private:
  Model& model() { return history_.back(); }
  void changed(Model next) { history_.push_back(std::move(next)); }

  void append() {
    Model next = model();
    const auto id = static_cast<uint32_t>(1 + prng_.below(5));
    ModelGroup& group = next[id];
    const uint64_t term = std::max<uint64_t>(group.state.term.value(), 1) + prng_.below(2);
    const uint64_t back = prng_.chance(1, 8) ? prng_.below(4) : 0;
    const uint64_t first = std::max(group.compacted, group.last - std::min(group.last, back)) + 1;
    const uint64_t count = prng_.below(4);
    const State state{Term(term), NodeId(static_cast<uint32_t>(prng_.below(4))),
                      Index(group.compacted)};
    std::vector<Record> records;
    for (uint64_t i = first; i < first + count; ++i) {
      const std::string payload(prng_.below(30), static_cast<char>('a' + prng_.below(26)));
      records.push_back({Index(i), Term(term), 1, Stamp::from_micros(7), Buffer::copy(payload)});
    }
    const bool with_state = count == 0 || prng_.chance(1, 2);
    if (with_state) {
      group.state = state;
    }
    if (count > 0) {
      group.entries.erase(group.entries.lower_bound(first), group.entries.end());
      group.last = first + count - 1;
    }
    for (const Record& record : records) {
      group.entries[record.index.value()] = {term, std::string(record.payload.view())};
    }
    log_.wal->append(GroupId(id), with_state ? &state : nullptr, records);
    changed(std::move(next));
  }
  void compact() {
    Model next = model();
    if (next.empty()) {
      return;
    }
    auto at = next.begin();
    std::advance(at, static_cast<ptrdiff_t>(prng_.below(next.size())));
    ModelGroup& group = at->second;
    const uint64_t index = group.compacted + 1 + prng_.below(group.last - group.compacted + 3);
    const auto entry = group.entries.find(index);
    const uint64_t term = entry != group.entries.end() ? entry->second.first : 1;
    group.entries.erase(group.entries.begin(), group.entries.upper_bound(index));
    group.compacted = index;
    group.compacted_term = term;
    group.last = std::max(group.last, index);
    log_.wal->compact(GroupId(at->first), Index(index), Term(term));
    changed(std::move(next));
  }
  void remove() {
    Model next = model();
    const auto id = static_cast<uint32_t>(1 + prng_.below(5));
    if (next.erase(id) > 0) {
      log_.wal->remove_group(GroupId(id));
      changed(std::move(next));
    }
  }
  void flush() {
    const size_t through = history_.size() - 1;
    log_.wal->flush([this, through](Status status) {
      ASSERT_TRUE(status.ok());
      if (policy_ == SyncPolicy::kAlways) {
        acknowledged_ = std::max(acknowledged_, through);
      }
    });
    for (uint64_t i = prng_.below(4); i > 0; --i) {
      log_.loop.step();
    }
  }
  void crash() {
    const Crash modes[] = {Crash::kKeep, Crash::kLose, Crash::kTear, Crash::kTear};
    log_.restart(modes[prng_.below(4)]);
    ASSERT_TRUE(log_.opened.ok()) << log_.opened.to_string();
    Model found;
    for (const RecoveredGroup& group : log_.groups) {
      EXPECT_TRUE(group.holes.empty() && !group.tail_suspect)
          << log_.notes << "group " << group.group.value() << " " << describe(group);
      found[group.group.value()] = read_group(group);
    }
    for (size_t i = history_.size(); i > acknowledged_; --i) {
      if (history_[i - 1] == found) {
        history_ = {found};
        acknowledged_ = 0;
        return;
      }
    }
    FAIL() << "the log is at none of the " << history_.size() - acknowledged_
           << " states that it may be at";
  }
  static std::string describe(const RecoveredGroup& group) {
    std::string text = "compacted " + std::to_string(group.compacted.value()) + " last " +
                       std::to_string(group.last.value()) + (group.tail_suspect ? " suspect" : "");
    for (const Hole& hole : group.holes) {
      text +=
          " hole " + std::to_string(hole.first.value()) + ".." + std::to_string(hole.last.value());
    }
    return text;
  }
  ModelGroup read_group(const RecoveredGroup& group) {
    ModelGroup out{
        group.state, group.compacted.value(), group.compacted_term.value(), group.last.value(), {}};
    for (const Record& record : read(group.group.value(), out)) {
      out.entries[record.index.value()] = {record.term.value(), std::string(record.payload.view())};
    }
    return out;
  }
  std::vector<Record> read(uint32_t id, const ModelGroup& group) {
    if (group.last == group.compacted) {
      return {};
    }
    auto records =
        log_.wal->read(GroupId(id), Index(group.compacted + 1), Index(group.last), SIZE_MAX);
    EXPECT_TRUE(records.ok()) << records.status().to_string();
    return records.ok() ? std::move(records).value() : std::vector<Record>();
  }
  void check_read() {
    for (const auto& [id, group] : model()) {
      std::map<uint64_t, std::pair<uint64_t, std::string>> entries;
      for (const Record& record : read(id, group)) {
        entries[record.index.value()] = {record.term.value(), std::string(record.payload.view())};
      }
      ASSERT_EQ(entries, group.entries) << "group " << id;
    }
  }
  void check_rotten(uint32_t id, const ModelGroup& group) {
    const RecoveredGroup* found = log_.group(id);
    if (found == nullptr || found->tail_suspect) {
      EXPECT_TRUE(found != nullptr || log_.groups_unknown);
      return;
    }
    EXPECT_EQ(found->state, group.state) << log_.notes;
    EXPECT_EQ(found->last.value(), group.last) << log_.notes;
    for (const auto& [index, entry] : group.entries) {
      const auto got = log_.wal->read(GroupId(id), Index(index), Index(index), 1);
      if (got.ok()) {
        EXPECT_EQ(got->front().payload.view(), entry.second) << log_.notes;
        EXPECT_EQ(got->front().term.value(), entry.first);
      } else {
        EXPECT_EQ(got.status().code(), Code::kCorrupted);
      }
    }
  }

  Prng prng_;
  SyncPolicy policy_;
  LogFixture log_;
  std::vector<Model> history_;
  size_t acknowledged_ = 0;
};

class WalModel : public ::testing::TestWithParam<SyncPolicy> {};

TEST_P(WalModel, holds_over_seeds) {
  for (uint64_t seed = 1; seed <= 150; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    ModelRun run(seed, GetParam());
    run.play(250);
    if (GetParam() == SyncPolicy::kAlways && !HasFailure()) {
      run.rot();
    }
    if (HasFailure()) {
      return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(policies, WalModel,
                         ::testing::Values(SyncPolicy::kAlways, SyncPolicy::kInterval,
                                           SyncPolicy::kNever));

}  // namespace
}  // namespace quorate::wal
