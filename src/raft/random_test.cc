// SPDX-License-Identifier: Apache-2.0
// Random histories: loss, delay, reorder, duplication, partitions, crashes that lose what was not
// durable, restarts, changes of membership, snapshots, hand-overs, unreadable entries. After each
// step every replica's own invariants hold, and between replicas:
//   election safety      at most one leader a term
//   log matching         the same index and term: the same entry, and the same before it
//   leader completeness  what was committed is in the log of every later leader
//   machine order        every machine applies the same entry at the same index
//   linearizable reads   a read's index is not before what was acknowledged when it was asked
// A seed makes a history; a failing one is replayed by its seed alone.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "raft/cluster_test.h"
#include "raft/config_change.h"

namespace quorate::raft::testing {
namespace {

// The first thing that went wrong; empty while nothing has.
class History {
 public:
  explicit History(uint64_t seed) : random_(seed) { build(); }

  void run(int steps) {
    for (int i = 0; i < steps && failure_.empty(); ++i) {
      step();
      examine();
    }
    if (failure_.empty()) {
      heal();
    }
  }
  [[nodiscard]] const std::string& failure() const { return failure_; }
  [[nodiscard]] uint64_t committed() const { return committed_.size(); }
  [[nodiscard]] uint64_t reads() const { return reads_served_; }
  [[nodiscard]] bool was_excused() const { return excused_; }

 private:
  struct Asked {
    uint32_t replica;
    Index floor;  // what had been applied anywhere when it was asked
  };

  void build();
  void step();
  void act();
  void deliver_some();
  void change_membership();
  void ask_read(uint32_t id);
  void crash_or_start();
  void lose_entries();
  void partition();
  void examine();
  void examine_leader(uint32_t id);
  void examine_lease(uint32_t id);
  void note_applied(uint32_t id, const Entry& entry);
  void note_read(const ReadReady& read);
  void heal();
  [[nodiscard]] bool excused();
  void fail(const std::string& what) {
    if (failure_.empty()) {
      failure_ = what;
      for (auto& [id, replica] : cluster_.replicas) {
        failure_ += "\n" + (up(id) ? replica.node->describe() : std::to_string(id) + ": down");
      }
    }
  }
  [[nodiscard]] uint32_t any() { return static_cast<uint32_t>(1 + random_.below(size_)); }
  [[nodiscard]] bool up(uint32_t id) { return cluster_.at(id).node != nullptr; }
  [[nodiscard]] uint32_t any_up();

  Prng random_;
  Cluster cluster_;
  uint32_t size_ = 0;
  std::string failure_;
  std::map<uint64_t, uint32_t> leaders_;               // term -> replica
  std::map<uint64_t, Entry> committed_;                // index -> entry, as first applied
  std::map<uint64_t, Asked> asked_;                    // read context ->
  std::set<uint32_t> examined_;                        // leaders found complete in their term
  Index newest_applied_;
  uint64_t next_word_ = 0;
  uint64_t next_read_ = 0;
  uint64_t reads_served_ = 0;
  bool excused_ = false;
  bool stormy_ = false;
  bool slow_disk_ = false;
  std::set<uint64_t> lost_once_;                       // indexes that some replica lost
};

void History::build() {
  stormy_ = random_.chance(1, 2);
  slow_disk_ = random_.chance(1, 2);
  size_ = random_.chance(1, 3) ? 5 : 3;
  const bool witness = random_.chance(1, 6);
  const uint32_t voters = size_ == 5 && random_.chance(1, 2) ? 3 : size_;
  Config config;
  for (uint32_t id = 1; id <= voters; ++id) {
    config.voters.push_back(NodeId(id));
  }
  if (witness) {
    config.witnesses.push_back(NodeId(voters));
  }
  for (uint32_t id = 1; id <= size_; ++id) {
    Options options;
    options.id = NodeId(id);
    options.witness = witness && id == voters;
    options.priority = static_cast<int>(random_.below(3));
    options.append_bytes_max = random_.chance(1, 2) ? 100 : 100'000;
    options.inflight_messages_max = 1 + random_.below(8);
    options.cached_bytes_max = random_.chance(1, 2) ? 256 : 100'000;
    options.snapshot_chunk_bytes = 16;
    options.quiet_after = Duration::millis(random_.chance(1, 3) ? 120 : 0);
    cluster_.add(options, config);
  }
  cluster_.auto_persist = false;
  cluster_.auto_io = false;
  cluster_.on_apply = [this](uint32_t id, const Entry& entry) { note_applied(id, entry); };
  cluster_.on_read = [this](uint32_t, const ReadReady& read) { note_read(read); };
  for (uint32_t id = 1; id <= size_; ++id) {
    cluster_.start(id);
  }
}

uint32_t History::any_up() {
  for (int tries = 0; tries < 8; ++tries) {
    const uint32_t id = any();
    if (up(id)) {
      return id;
    }
  }
  return 0;
}

void History::step() {
  cluster_.events.clear();
  deliver_some();
  for (uint32_t id = 1; id <= size_; ++id) {
    if (up(id) && random_.chance(1, slow_disk_ ? 8 : 2) && cluster_.persist_one(id)) {
      cluster_.drain(id);
    }
    if (up(id) && random_.chance(1, 2) && cluster_.io_one(id)) {
      cluster_.drain(id);
    }
  }
  if (random_.chance(1, 4)) {
    cluster_.advance(Duration::millis(random_.between(1, 40)), false);
  }
  act();
}

// Messages are reordered, doubled and lost, each now and then; mostly they arrive in order.
void History::deliver_some() {
  auto& network = cluster_.network;
  uint64_t count = random_.below(network.size() + 1);
  while (count-- > 0 && !network.empty()) {
    const size_t place = random_.chance(1, 10) ? random_.below(network.size()) : 0;
    Message message = network[place];
    if (!random_.chance(1, 20)) {
      network.erase(network.begin() + static_cast<std::ptrdiff_t>(place));
    }
    if (!random_.chance(1, 20)) {
      cluster_.deliver(std::move(message));
    }
  }
  while (network.size() > 300) {
    network.pop_front();
  }
}

void History::act() {
  const uint32_t id = any_up();
  if (id == 0) {
    return crash_or_start();
  }
  Node& node = cluster_.node(id);
  // A storm: crashes, partitions and elections, hardly any work.
  const uint64_t dice = stormy_ ? 480 + random_.below(170) : random_.below(1000);
  if (dice < 400) {
    const uint32_t target = random_.chance(3, 4) && cluster_.leader() != 0 ? cluster_.leader() : id;
    (void)cluster_.node(target).propose(
        EntryKind::kCommand, Stamp(), Buffer::take("w" + std::to_string(++next_word_)),
        cluster_.now);
    cluster_.drain(target);
  } else if (dice < 500) {
    ask_read(id);
  } else if (dice < 530) {
    change_membership();
  } else if (dice < 550) {
    crash_or_start();
  } else if (dice < 565) {
    partition();
  } else if (dice < 580) {
    node.campaign(cluster_.now);
  } else if (dice < 595) {
    (void)node.transfer_leadership(NodeId(any()), cluster_.now);
  } else if (dice < 620 && cluster_.at(id).io.empty() && node.applied() >= node.first_index()) {
    cluster_.take_snapshot(id, node.applied());
  } else if (dice < 640) {
    node.on_link(NodeId(any()), random_.chance(1, 2), cluster_.now);
  } else if (dice < 650) {
    node.wake(cluster_.now);
  } else if (dice < 653) {
    lose_entries();
  }
  cluster_.drain(id);
}

void History::ask_read(uint32_t id) {
  Node& node = cluster_.node(id);
  const uint64_t context = random_.chance(1, 4) && next_read_ > 0 ? next_read_ : ++next_read_;
  const ReadKind kind = random_.chance(1, 2) ? ReadKind::kQuorum : ReadKind::kLeaseOrQuorum;
  // A context may be used again: from then on an answer has to be as new as the newest question.
  const auto known = asked_.find(context);
  if (known != asked_.end() && known->second.replica != id) {
    return;
  }
  std::erase_if(cluster_.at(id).reads,
                [&](const ReadReady& read) { return read.context == context; });
  if (node.read(context, kind, cluster_.now).ok()) {
    asked_[context] = {id, newest_applied_};
  }
  cluster_.drain(id);
}

void History::note_read(const ReadReady& read) {
  const auto asked = asked_.find(read.context);
  if (!read.ok || asked == asked_.end()) {
    return;
  }
  ++reads_served_;
  if (read.index < asked->second.floor) {
    fail("read " + std::to_string(read.context) + " at " + std::to_string(read.index.value()) +
         " misses entry " + std::to_string(asked->second.floor.value()));
  }
}

void History::change_membership() {
  const uint32_t leader = cluster_.leader();
  if (leader == 0) {
    return;
  }
  ConfigChange change;
  change.joint = random_.chance(1, 4);
  const uint64_t count = 1 + random_.below(3);
  for (uint64_t i = 0; i < count; ++i) {
    const NodeId node(any());
    const bool witness = cluster_.at(node.value()).options.witness;
    const auto kind = static_cast<ChangeKind>(1 + random_.below(3));
    change.changes.push_back(
        {witness && kind != ChangeKind::kRemove ? ChangeKind::kAddWitness : kind, node});
  }
  (void)cluster_.node(leader).propose_config(change, Stamp(), cluster_.now);
  cluster_.drain(leader);
}

void History::crash_or_start() {
  const uint32_t id = any();
  if (up(id)) {
    cluster_.crash(id);
    std::erase_if(asked_, [&](const auto& entry) { return entry.second.replica == id; });
  } else {
    cluster_.start(id);
  }
}

// Two kinds of group must wait rather than elect: one whose only copy of an entry is unreadable,
// and one whose only newest log lies on a witness, which never leads.
bool History::excused() {
  uint32_t newest = 0;
  for (auto& [id, replica] : cluster_.replicas) {
    if (replica.node->has_holes()) {
      return true;
    }
    if (!is_voter(replica.node->config(), NodeId(id))) {
      continue;
    }
    const auto position = [&](uint32_t of) {
      const Node& node = cluster_.node(of);
      return std::pair(node.term_at(node.last_index()), node.last_index());
    };
    if (newest == 0 || position(id) > position(newest) ||
        (position(id) == position(newest) && cluster_.at(newest).options.witness)) {
      newest = id;
    }
  }
  return newest != 0 && cluster_.at(newest).options.witness;
}

// At most one copy of an entry is ever lost, and only if there is another.
void History::lose_entries() {
  const uint32_t id = any();
  if (up(id) || cluster_.at(id).durable.log.empty()) {
    return;
  }
  Disk& disk = cluster_.at(id).durable;
  auto at = disk.log.begin();
  std::advance(at, random_.below(disk.log.size()));
  for (int i = 0; i < 3 && at != disk.log.end(); ++i, ++at) {
    const bool copied = std::any_of(
        cluster_.replicas.begin(), cluster_.replicas.end(), [&](const auto& other) {
          const auto copy = other.second.durable.log.find(at->first);
          return other.first != id && copy != other.second.durable.log.end() &&
                 copy->second == at->second;
        });
    if (copied && lost_once_.insert(at->first).second) {
      disk.lost.insert(at->first);
    }
  }
  cluster_.start(id);
}

void History::partition() {
  cluster_.cuts.clear();
  if (random_.chance(1, 2)) {
    return;
  }
  const uint32_t alone = any();
  for (uint32_t other = 1; other <= size_; ++other) {
    cluster_.cuts.insert({alone, other});
    if (random_.chance(2, 3)) {
      cluster_.cuts.insert({other, alone});
    }
  }
}

void History::note_applied(uint32_t id, const Entry& entry) {
  const auto [known, fresh] = committed_.try_emplace(entry.index.value(), entry);
  newest_applied_ = std::max(newest_applied_, entry.index);
  if (!fresh && known->second != entry) {
    fail("replica " + std::to_string(id) + " applies another entry at " +
         std::to_string(entry.index.value()));
  }
}

void History::examine() {
  for (uint32_t id = 1; id <= size_; ++id) {
    if (up(id) && cluster_.node(id).role() == Role::kLeader) {
      examine_leader(id);
      examine_lease(id);
    }
  }
}

// Whoever may read under a lease would see everything that was ever acknowledged.
void History::examine_lease(uint32_t id) {
  const std::optional<Index> index = cluster_.node(id).lease_read(cluster_.now);
  if (index.has_value() && *index < newest_applied_) {
    fail("a lease read of " + std::to_string(id) + " at " + std::to_string(index->value()) +
         " misses entry " + std::to_string(newest_applied_.value()));
  }
}

void History::examine_leader(uint32_t id) {
  const Node& node = cluster_.node(id);
  const auto [known, fresh] = leaders_.try_emplace(node.term().value(), id);
  if (!fresh) {
    if (known->second != id) {
      fail("two leaders in term " + std::to_string(node.term().value()));
    }
    return;
  }
  // What was applied anywhere is in the log of a leader elected since.
  for (auto at = committed_.lower_bound(node.first_index().value()); at != committed_.end(); ++at) {
    if (node.term_at(Index(at->first)) != at->second.term) {
      fail("leader " + std::to_string(id) + " of term " + std::to_string(node.term().value()) +
           " lacks entry " + std::to_string(at->first));
      return;
    }
  }
}

// Without faults the group must come back by itself: a leader, one log, equal machines.
void History::heal() {
  cluster_.cuts.clear();
  cluster_.auto_persist = cluster_.auto_io = true;
  for (uint32_t id = 1; id <= size_; ++id) {
    if (!up(id)) {
      cluster_.start(id);
    }
    cluster_.persist(id);
    while (cluster_.io_one(id)) {
    }
    cluster_.node(id).wake(cluster_.now);
    cluster_.drain(id);
  }
  cluster_.settle();
  cluster_.advance(Duration::seconds(6), true);
  const uint32_t leader = cluster_.leader();
  if (leader == 0) {
    return excused() ? void(excused_ = true) : fail("no leader without faults");
  }
  const Config config = cluster_.node(leader).config();
  for (uint32_t id = 1; id <= size_; ++id) {
    const Replica& replica = cluster_.at(id);
    const bool member = std::binary_search(config.voters.begin(), config.voters.end(), NodeId(id));
    if (member && !replica.options.witness && !replica.node->has_holes() &&
        replica.machine.words != cluster_.at(leader).machine.words) {
      return fail("replica " + std::to_string(id) + " does not catch up");
    }
  }
}

uint64_t number_from_environment(const char* name, uint64_t fallback) {
  const char* text = std::getenv(name);
  return text == nullptr ? fallback : std::strtoull(text, nullptr, 10);
}

TEST(random_histories, keep_every_promise) {
  choose_mutant();
  const uint64_t first = number_from_environment("RAFT_SEED", 1);
  const uint64_t seeds = number_from_environment("RAFT_SEEDS", 300);
  uint64_t committed = 0;
  uint64_t reads = 0;
  uint64_t excused = 0;
  for (uint64_t seed = first; seed < first + seeds; ++seed) {
    History history(seed);
    history.run(1500);
    ASSERT_EQ(history.failure(), "") << "replay with RAFT_SEED=" << seed << " RAFT_SEEDS=1";
    committed += history.committed();
    reads += history.reads();
    excused += history.was_excused() ? 1 : 0;
  }
  // A test that reaches nothing shows nothing.
  EXPECT_GT(committed, seeds * 30);
  EXPECT_GT(reads, seeds * 5);
  EXPECT_LT(excused, seeds / 20 + 1);
  std::printf("%llu histories: %llu entries, %llu reads, %llu rightly without a leader\n",
              static_cast<unsigned long long>(seeds), static_cast<unsigned long long>(committed),
              static_cast<unsigned long long>(reads), static_cast<unsigned long long>(excused));
}

}  // namespace
}  // namespace quorate::raft::testing
