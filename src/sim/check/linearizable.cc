// SPDX-License-Identifier: Apache-2.0
#include "sim/check/linearizable.h"

#include <algorithm>
#include <bitset>
#include <deque>
#include <unordered_map>

#include "base/prng.h"
#include "sim/world.h"

namespace quorate::sim {
namespace {

// Operations under way at one moment, unknown ones included; a slot is reused after a return.
constexpr size_t kSlots = 256;
using Slots = std::bitset<kSlots>;

struct Configuration {
  int64_t state = kAbsent;
  Slots done;
  bool operator==(const Configuration&) const = default;
};

struct ConfigurationHash {
  size_t operator()(const Configuration& c) const {
    return mix64(static_cast<uint64_t>(c.state) ^ std::hash<Slots>{}(c.done));
  }
};

// A set of configurations in which none is dominated by another (rule 2 of the header). Grouped by
// state and known operations done; each group is an antichain of sets of unknown ones used.
class Pasts {
 public:
  // False if it was there, or is dominated by one that is.
  bool insert(const Configuration& c, const Slots& unknown) {
    std::vector<Slots>& used = groups_[{c.state, c.done & ~unknown}];
    const Slots mine = c.done & unknown;
    for (const Slots& other : used) {
      if ((other & ~mine).none()) {
        return false;
      }
    }
    size_ += 1;
    size_ -= std::erase_if(used, [&mine](const Slots& other) { return (mine & ~other).none(); });
    used.push_back(mine);
    return true;
  }
  [[nodiscard]] std::vector<Configuration> all() const {
    std::vector<Configuration> out;
    out.reserve(size_);
    for (const auto& [group, used] : groups_) {
      for (const Slots& mine : used) {
        out.push_back({group.state, group.done | mine});
      }
    }
    return out;
  }
  [[nodiscard]] size_t size() const { return size_; }

 private:
  std::unordered_map<Configuration, std::vector<Slots>, ConfigurationHash> groups_;
  size_t size_ = 0;
};

// The state after the operation, if its answer is possible in `state`.
std::optional<int64_t> effect(const Operation& op, int64_t state) {
  switch (op.kind) {
    case OpKind::kRead:
      return op.unknown || op.result == state ? std::optional(state) : std::nullopt;
    case OpKind::kWrite: return op.argument;
    case OpKind::kDelete:
      return op.unknown || op.ok == (state != kAbsent) ? std::optional(kAbsent) : std::nullopt;
    case OpKind::kCas: {
      const bool swaps = state == op.expected;
      if (!op.unknown && op.ok != swaps) {
        return std::nullopt;
      }
      return swaps ? op.argument : state;
    }
    case OpKind::kAdd: {
      const int64_t sum = (state == kAbsent ? 0 : state) + op.argument;
      return op.unknown || op.result == sum ? std::optional(sum) : std::nullopt;
    }
  }
  return std::nullopt;
}

class Search {
 public:
  Search(const std::vector<Operation>& history, const CheckLimits& limits)
      : history_(history), limits_(limits) {}

  Verdict run();

 private:
  struct Moment {
    Instant when;
    bool is_return;
    uint32_t op;
    bool operator<(const Moment& other) const {
      if (when != other.when) {
        return when < other.when;
      }
      // At one instant, a start comes before a return: they may have overlapped.
      return is_return != other.is_return ? !is_return : op < other.op;
    }
  };

  [[nodiscard]] bool start(uint32_t op);
  [[nodiscard]] bool finish(uint32_t op);
  [[nodiscard]] bool extend(const Configuration& from, size_t slot, Pasts& out);
  [[nodiscard]] bool has_twin_before(size_t slot, const Slots& open) const;
  bool absorb(Configuration& c) const;
  [[nodiscard]] std::string story(uint32_t op) const;

  const std::vector<Operation>& history_;
  const CheckLimits& limits_;
  std::vector<Configuration> configurations_ = {Configuration{}};
  std::vector<uint32_t> op_of_slot_ = std::vector<uint32_t>(kSlots);
  std::vector<size_t> slot_of_op_;
  Slots under_way_;
  Slots unknown_;
  size_t most_ = 1;
};

Verdict Search::run() {
  std::vector<Moment> moments;
  slot_of_op_.resize(history_.size());
  for (uint32_t i = 0; i < history_.size(); ++i) {
    // An unknown read says nothing.
    if (history_[i].unknown && history_[i].kind == OpKind::kRead) {
      continue;
    }
    moments.push_back({history_[i].start, false, i});
    if (!history_[i].unknown) {
      moments.push_back({history_[i].end, true, i});
    }
  }
  std::sort(moments.begin(), moments.end());
  Verdict verdict;
  for (const Moment& moment : moments) {
    const bool within = moment.is_return ? finish(moment.op) : start(moment.op);
    if (!within) {
      verdict.kind = Verdict::Kind::kUndecided;
      verdict.story = "too many possible pasts at " + show(history_[moment.op]);
      break;
    }
    if (configurations_.empty()) {
      verdict.kind = Verdict::Kind::kViolated;
      verdict.story = story(moment.op);
      break;
    }
  }
  verdict.configurations_max = most_;
  return verdict;
}

bool Search::start(uint32_t op) {
  size_t slot = 0;
  while (slot < kSlots && under_way_[slot]) {
    ++slot;
  }
  if (slot == kSlots) {
    return false;
  }
  under_way_.set(slot);
  unknown_.set(slot, history_[op].unknown);
  op_of_slot_[slot] = op;
  slot_of_op_[op] = slot;
  if (!history_[op].unknown) {
    for (Configuration& c : configurations_) {
      absorb(c);
    }
  }
  return true;
}

bool Search::finish(uint32_t op) {
  const size_t slot = slot_of_op_[op];
  Pasts next;
  for (const Configuration& c : configurations_) {
    if (c.done[slot]) {
      next.insert(c, unknown_);
    } else if (!extend(c, slot, next)) {
      return false;
    }
  }
  configurations_ = next.all();
  for (Configuration& c : configurations_) {
    c.done.reset(slot);
  }
  under_way_.reset(slot);
  most_ = std::max(most_, configurations_.size());
  return true;
}

// Every sequence of operations under way that ends with that of `slot`, shortest first.
bool Search::extend(const Configuration& from, size_t slot, Pasts& out) {
  // An unknown write that nothing has seen yet is wasted if a blind write comes next. Pasts whose
  // last step is such a one are kept apart, as less may follow them.
  struct Step {
    Configuration past;
    bool unseen_write;
  };
  Pasts seen[2];
  seen[0].insert(from, unknown_);
  std::deque<Step> work{{from, false}};
  while (!work.empty()) {
    if (seen[0].size() + seen[1].size() + out.size() > limits_.configurations_max) {
      return false;
    }
    const Step step = work.front();
    work.pop_front();
    const Slots open = under_way_ & ~step.past.done;
    for (size_t i = open._Find_first(); i < kSlots; i = open._Find_next(i)) {
      const Operation& op = history_[op_of_slot_[i]];
      if (step.unseen_write &&
          (op.kind == OpKind::kWrite || (op.unknown && op.kind == OpKind::kDelete))) {
        continue;
      }
      const std::optional<int64_t> state = effect(op, step.past.state);
      // What changes nothing was absorbed, or is unknown and need not be used.
      if (!state || (*state == step.past.state && i != slot) || has_twin_before(i, open)) {
        continue;
      }
      Configuration after{*state, step.past.done};
      after.done.set(i);
      const bool absorbed = absorb(after);
      const bool unseen_write = op.unknown && !absorbed;
      if (after.done[slot]) {
        out.insert(after, unknown_);
      } else if (seen[unseen_write ? 1 : 0].insert(after, unknown_)) {
        work.push_back({after, unseen_write});
      }
    }
  }
  return true;
}

// Unknown operations that say the same are interchangeable: only the first is tried.
bool Search::has_twin_before(size_t slot, const Slots& open) const {
  if (!unknown_[slot]) {
    return false;
  }
  const Operation& mine = history_[op_of_slot_[slot]];
  for (size_t i = open._Find_first(); i < slot; i = open._Find_next(i)) {
    const Operation& other = history_[op_of_slot_[i]];
    if (unknown_[i] && other.kind == mine.kind && other.argument == mine.argument &&
        other.expected == mine.expected) {
      return true;
    }
  }
  return false;
}

// True if anything was.
bool Search::absorb(Configuration& c) const {
  bool absorbed = false;
  const Slots open = under_way_ & ~c.done & ~unknown_;
  for (size_t i = open._Find_first(); i < kSlots; i = open._Find_next(i)) {
    if (effect(history_[op_of_slot_[i]], c.state) == std::optional(c.state)) {
      c.done.set(i);
      absorbed = true;
    }
  }
  return absorbed;
}

std::string Search::story(uint32_t op) const {
  const Operation& culprit = history_[op];
  std::string text = "no order explains " + show(culprit) + "\n  beside:";
  std::vector<uint32_t> near;
  for (uint32_t i = 0; i < history_.size(); ++i) {
    if (i != op && history_[i].start <= culprit.end) {
      near.push_back(i);
    }
  }
  std::sort(near.begin(), near.end(),
            [this](uint32_t a, uint32_t b) { return history_[a].start > history_[b].start; });
  near.resize(std::min<size_t>(near.size(), 16));
  for (const uint32_t i : near) {
    text += "\n    " + show(history_[i]);
  }
  return text;
}

std::string show_value(int64_t value) {
  return value == kAbsent ? "none" : std::to_string(value);
}

}  // namespace

Verdict check_linearizable(const std::vector<Operation>& history, const CheckLimits& limits) {
  return Search(history, limits).run();
}

std::string show(const Operation& op) {
  std::string text = "c" + std::to_string(op.client) + " [" + show(op.start - Instant()) + ".." +
                     (op.unknown ? "?" : show(op.end - Instant())) + "] ";
  const std::string outcome = op.unknown ? "unknown" : op.ok ? "ok" : "no";
  switch (op.kind) {
    case OpKind::kRead:
      return text + "read : " + (op.unknown ? "unknown" : show_value(op.result));
    case OpKind::kWrite: return text + "write " + show_value(op.argument) + " : " + outcome;
    case OpKind::kDelete: return text + "delete : " + outcome;
    case OpKind::kCas:
      return text + "cas " + show_value(op.expected) + " -> " + show_value(op.argument) + " : " +
             outcome;
    case OpKind::kAdd:
      return text + "add " + show_value(op.argument) + " : " +
             (op.unknown ? "unknown" : show_value(op.result));
  }
  return text;
}

}  // namespace quorate::sim
