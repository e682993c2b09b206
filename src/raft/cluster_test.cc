// SPDX-License-Identifier: Apache-2.0
#include "raft/cluster_test.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "base/mutant.h"

namespace quorate::raft::testing {

// ---- disk and machine --------------------------------------------------------------------------

void Disk::write(const Entries& entries) {
  for (const Entry& entry : entries) {
    const uint64_t index = entry.index.value();
    const auto known = log.find(index);
    if (known != log.end() && lost.contains(index) && known->second.term == entry.term) {
      known->second = entry;
      lost.erase(index);
      continue;
    }
    log.erase(log.lower_bound(index), log.end());
    lost.erase(lost.lower_bound(index), lost.end());
    log[index] = entry;
  }
}

void Disk::compact(Index through) {
  log.erase(log.begin(), log.upper_bound(through.value()));
  lost.erase(lost.begin(), lost.upper_bound(through.value()));
}

Restored Disk::restored() const {
  Restored restored;
  restored.hard_state = state;
  restored.snapshot = snapshot;
  restored.last =
      log.empty() ? snapshot.index : std::max(snapshot.index, Index(log.rbegin()->first));
  restored.terms.push_back({snapshot.index, snapshot.term});
  for (const auto& [index, entry] : log) {
    if (index <= snapshot.index.value()) {
      continue;  // kept for followers that lag
    }
    if (restored.terms.back().term != entry.term) {
      restored.terms.push_back({Index(index), entry.term});
    }
    if (entry.kind == EntryKind::kConfig && !lost.contains(index)) {
      restored.configs.push_back(entry);
    }
  }
  for (const uint64_t index : lost) {
    if (index <= snapshot.index.value()) {
      continue;
    }
    if (!restored.holes.empty() && restored.holes.back().last.value() + 1 == index) {
      ++restored.holes.back().last;
    } else {
      restored.holes.push_back({Index(index), Index(index)});
    }
  }
  restored.tail_suspect = suspect;
  return restored;
}

void Machine::apply(const Entry& entry) {
  ASSERT(entry.index == applied.next(), "entries are applied in order");
  applied = entry.index;
  if (entry.kind == EntryKind::kCommand) {
    words += std::string(entry.payload.view().substr(0, 40)) + " ";
  }
}

std::string Machine::image() const { return std::to_string(applied.value()) + "|" + words; }

void Machine::restore(const std::string& image) {
  const size_t bar = image.find('|');
  applied = Index(bar == std::string::npos ? 0 : std::stoull(image.substr(0, bar)));
  words = bar == std::string::npos ? "" : image.substr(bar + 1);
}

// ---- life of a replica -------------------------------------------------------------------------

Replica& Cluster::add(const Options& options, const Config& config) {
  Replica& replica = replicas[options.id.value()];
  replica.options = options;
  replica.initial = config;
  replica.durable.snapshot.config = config;
  replica.written = replica.durable;
  return replica;
}

Replica& Cluster::at(uint32_t id) { return replicas.at(id); }

Node& Cluster::node(uint32_t id) {
  ASSERT(at(id).node != nullptr, "the replica is down");
  return *at(id).node;
}

void Cluster::start(uint32_t id) {
  Replica& replica = at(id);
  replica.written = replica.durable;
  replica.machine = Machine();
  replica.machine.restore(replica.durable.image);
  replica.told = Index();
  replica.options.seed = mix64(id * 1000 + ++replica.restarts);
  replica.node = std::make_unique<Node>(replica.options, replica.durable.restored(), now);
  replica.role = Role::kFollower;
  replica.term = replica.node->term();
  drain(id);
}

void Cluster::crash(uint32_t id) {
  Replica& replica = at(id);
  replica.node.reset();
  replica.unsynced.clear();
  replica.io.clear();
  replica.waiting_reads.clear();
  replica.reads.clear();
}

void Cluster::drain(uint32_t id) {
  Replica& replica = at(id);
  for (int turns = 0; replica.node != nullptr && replica.node->has_ready(); ++turns) {
    ASSERT(turns < 1000, "a replica always has something to say");
    handle(id, replica.node->take_ready());
    if (auto_persist && !slow.contains(id)) {
      persist(id);
    }
    while (auto_io && io_one(id)) {
    }
    if (check) {
      replica.node->check_invariants();
    }
  }
}

void Cluster::handle(uint32_t id, Ready ready) {
  Replica& replica = at(id);
  if (ready.role_changed) {
    note_role(id);
  }
  for (Message& message : ready.messages) {
    network.push_back(std::move(message));
  }
  if (ready.must_persist()) {
    replica.written.write(ready.entries);
    replica.unsynced.push_back({ready.hard_state, std::move(ready.entries),
                                std::move(ready.after_persist), ready.persist_through});
  }
  replica.told = std::max(replica.told, ready.commit);
  apply(id);
  for (const ReadReady& read : ready.reads) {
    replica.reads.push_back(read);
  }
  release_reads(id);
  for (const LogRead& read : ready.log_reads) {
    replica.io.push_back([this, id, read] { serve_log(id, read); });
  }
  for (const SnapshotRead& read : ready.snapshot_reads) {
    replica.io.push_back([this, id, read] { serve_snapshot(id, read); });
  }
  for (const SnapshotWrite& piece : ready.snapshot_writes) {
    replica.io.push_back([this, id, piece] { store_piece(id, piece); });
  }
}

void Cluster::note_role(uint32_t id) {
  Replica& replica = at(id);
  static const char* kNames[] = {"follower", "pre-candidate", "candidate", "leader"};
  const Role role = replica.node->role();
  if (role != replica.role || replica.node->term() != replica.term) {
    say(std::to_string(id) + " is " + kNames[static_cast<int>(role)] + " in term " +
        std::to_string(replica.node->term().value()));
  }
  replica.role = role;
  replica.term = replica.node->term();
}

bool Cluster::persist_one(uint32_t id) {
  Replica& replica = at(id);
  if (replica.unsynced.empty() || replica.node == nullptr) {
    return false;
  }
  Unsynced next = std::move(replica.unsynced.front());
  replica.unsynced.pop_front();
  if (next.state.has_value()) {
    replica.durable.state = *next.state;
    replica.written.state = *next.state;
  }
  replica.durable.write(next.entries);
  for (Message& message : next.after) {
    network.push_back(std::move(message));
  }
  replica.node->on_persisted(next.point, now);
  return true;
}

void Cluster::persist(uint32_t id) {
  while (persist_one(id)) {
  }
}

void Cluster::apply(uint32_t id) {
  Replica& replica = at(id);
  Machine& machine = replica.machine;
  if (replica.options.witness || lazy.contains(id)) {
    return;
  }
  while (machine.applied < replica.told) {
    const Index index = machine.applied.next();
    const Entry* cached = replica.node->entry_at(index);
    if (cached == nullptr && replica.written.lost.contains(index.value())) {
      break;  // raft knows, and has it found again
    }
    ASSERT(cached != nullptr || replica.written.log.contains(index.value()),
           "what is to be applied can be read");
    const Entry entry = cached != nullptr ? *cached : replica.written.log.at(index.value());
    machine.apply(entry);
    if (on_apply) {
      on_apply(id, entry);
    }
    if (entry.kind == EntryKind::kCommand && trace) {
      say(std::to_string(id) + " applies " + std::to_string(index.value()) + " " +
          std::string(entry.payload.view().substr(0, 40)));
    }
  }
  replica.node->on_applied(machine.applied);
}

void Cluster::release_reads(uint32_t id) {
  Replica& replica = at(id);
  std::erase_if(replica.reads, [&](const ReadReady& read) {
    if (read.ok && read.index > replica.machine.applied) {
      return false;
    }
    say(std::to_string(id) + " read " + std::to_string(read.context) +
        (read.ok ? " at " + std::to_string(read.index.value()) : " failed"));
    if (on_read) {
      on_read(id, read);
    }
    return true;
  });
}

// ---- the owner's files -------------------------------------------------------------------------

bool Cluster::io_one(uint32_t id) {
  Replica& replica = at(id);
  if (replica.io.empty() || replica.node == nullptr) {
    return false;
  }
  const std::function<void()> next = std::move(replica.io.front());
  replica.io.pop_front();
  next();
  return true;
}

void Cluster::serve_log(uint32_t id, const LogRead& read) {
  Replica& replica = at(id);
  Entries entries;
  size_t bytes = 0;
  for (uint64_t i = read.first.value(); i <= read.last.value(); ++i) {
    const auto found = replica.written.log.find(i);
    if (found == replica.written.log.end() || replica.written.lost.contains(i) ||
        (!entries.empty() && bytes > read.bytes_max)) {
      break;
    }
    entries.push_back(found->second);
    bytes += found->second.payload.size() + 64;
  }
  if (trace) {
    say(std::to_string(id) + " reads " + std::to_string(entries.size()) + " entries from " +
        std::to_string(read.first.value()) + " for " + std::to_string(read.peer.value()));
  }
  replica.node->on_log_read(read.peer, read.first, std::move(entries), now);
}

void Cluster::serve_snapshot(uint32_t id, const SnapshotRead& read) {
  Replica& replica = at(id);
  const Disk& disk = replica.durable;
  if (disk.snapshot.index.none() || (!read.index.none() && read.index != disk.snapshot.index) ||
      read.offset > disk.image.size()) {
    return replica.node->on_snapshot_read_failed(read.peer, now);
  }
  SnapshotPiece piece;
  piece.snapshot = disk.snapshot;
  piece.offset = read.offset;
  piece.data = Buffer::copy(std::string_view(disk.image).substr(read.offset, read.bytes_max));
  piece.last = read.offset + piece.data.size() == disk.image.size();
  replica.node->on_snapshot_read(read.peer, std::move(piece), now);
}

void Cluster::store_piece(uint32_t id, const SnapshotWrite& piece) {
  Replica& replica = at(id);
  if (replica.options.witness) {
    return install(id, piece.snapshot);
  }
  Disk& disk = replica.durable;
  if (disk.incoming != piece.snapshot) {
    disk.incoming = piece.snapshot;
    disk.incoming_bytes.clear();
  }
  if (disk.incoming_bytes.size() <= piece.offset) {
    ASSERT(disk.incoming_bytes.size() == piece.offset);
    disk.incoming_bytes += piece.data.view();
  }
  const uint64_t next = disk.incoming_bytes.size();
  if (!piece.last || next != piece.offset + piece.data.size()) {
    return replica.node->on_snapshot_written(piece.snapshot, next, now);
  }
  install(id, piece.snapshot);
}

void Cluster::install(uint32_t id, const SnapshotMeta& meta) {
  Replica& replica = at(id);
  persist(id);
  replica.durable.snapshot = meta;
  replica.durable.image = std::exchange(replica.durable.incoming_bytes, "");
  replica.durable.incoming = SnapshotMeta();
  replica.durable.compact(meta.index);
  replica.written = replica.durable;
  if (!replica.options.witness) {
    ASSERT(meta.index > replica.machine.applied, "a machine never goes back");
    replica.machine.restore(replica.durable.image);
    say(std::to_string(id) + " installs snapshot " + std::to_string(meta.index.value()));
  }
  replica.node->on_snapshot_installed(meta, now);
}

void Cluster::take_snapshot(uint32_t id, Index index) {
  Replica& replica = at(id);
  const auto meta_at = [&](Index i) {
    return SnapshotMeta{i, node(id).term_at(i), node(id).config_at(i)};
  };
  persist(id);
  replica.durable.snapshot = meta_at(replica.machine.applied);
  replica.durable.image = replica.machine.image();
  replica.durable.compact(index);
  replica.written = replica.durable;
  replica.node->on_compacted(meta_at(index));
  drain(id);
}

// ---- messages and time -------------------------------------------------------------------------

void Cluster::deliver(Message message) {
  const uint32_t from = message.from.value();
  const uint32_t to = message.to.value();
  const bool dropped =
      cuts.contains({from, to}) || !replicas.contains(to) || at(to).node == nullptr;
  if (trace) {
    say(render(message) + (dropped ? " (lost)" : ""));
  }
  if (dropped) {
    return;
  }
  std::string bytes;
  encode(message, bytes);
  Result<Message> decoded = decode_message(Buffer::take(std::move(bytes)));
  ASSERT(decoded.ok(), decoded.status().message().c_str());
  decoded->from = message.from;
  decoded->to = message.to;
  node(to).step(std::move(*decoded), now);
  drain(to);
}

void Cluster::settle() {
  for (int steps = 0; !network.empty(); ++steps) {
    ASSERT(steps < 200'000, "the replicas never stop talking");
    Message message = std::move(network.front());
    network.pop_front();
    deliver(std::move(message));
  }
}

void Cluster::tick(uint32_t id) {
  node(id).tick(now);
  drain(id);
}

void Cluster::advance(Duration span, bool talking) {
  const Instant until = now + span;
  for (int steps = 0; steps < 1'000'000; ++steps) {
    Instant next = until;
    uint32_t who = 0;
    for (const auto& [id, replica] : replicas) {
      if (replica.node != nullptr && replica.node->deadline() < next) {
        next = replica.node->deadline();
        who = id;
      }
    }
    now = std::max(now, next);
    if (who == 0) {
      break;
    }
    tick(who);
    if (talking) {
      settle();
    }
  }
}

uint32_t Cluster::leader() const {
  uint32_t found = 0;
  Term term;
  for (const auto& [id, replica] : replicas) {
    if (replica.node != nullptr && replica.node->role() == Role::kLeader &&
        replica.node->term() > term) {
      found = id;
      term = replica.node->term();
    }
  }
  return found;
}

std::string render(const Message& message) {
  static const char* kNames[] = {"?",
                                 "pre-vote",
                                 "pre-vote-answer",
                                 "vote",
                                 "vote-answer",
                                 "append",
                                 "append-answer",
                                 "heartbeat",
                                 "heartbeat-answer",
                                 "read-index",
                                 "read-index-answer",
                                 "timeout-now",
                                 "snapshot",
                                 "snapshot-answer",
                                 "repair",
                                 "repair-answer"};
  std::string out =
      std::to_string(message.from.value()) + "->" + std::to_string(message.to.value()) + " " +
      kNames[static_cast<size_t>(message.kind)] + " term " + std::to_string(message.term.value());
  const auto field = [&](const char* name, uint64_t value) {
    if (value != 0) {
      out += std::string(" ") + name + " " + std::to_string(value);
    }
  };
  field("index", message.index.value());
  field("log_term", message.log_term.value());
  field("commit", message.commit.value());
  field("hint", message.hint_index.value());
  field("hint_term", message.hint_term.value());
  if (!message.snapshot.empty()) {
    field("snapshot", message.snapshot->index.value());
    field("offset", message.offset);
    field("bytes", message.data.size());
  } else if (message.kind == MessageKind::kSnapshotAnswer) {
    field("offset", message.offset);
  }
  if (!message.entries.empty()) {
    out += " entries " + std::to_string(message.entries.front().index.value()) + ".." +
           std::to_string(message.entries.back().index.value());
  }
  out += message.reject ? " reject" : "";
  out += message.flag ? " flag" : "";
  return out;
}

void choose_mutant() {
  if (const char* mutant = std::getenv("QUORATE_MUTANT")) {
    set_mutant(mutant);
  }
}

TEST(cluster, three_replicas_elect_a_leader_and_commit) {
  Cluster cluster;
  Config config;
  config.voters = {NodeId(1), NodeId(2), NodeId(3)};
  for (uint32_t id = 1; id <= 3; ++id) {
    Options options;
    options.id = NodeId(id);
    cluster.add(options, config);
    cluster.start(id);
  }
  cluster.advance(Duration::seconds(1), true);
  const uint32_t leader = cluster.leader();
  ASSERT_NE(leader, 0u);
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(cluster.node(leader)
                    .propose(EntryKind::kCommand, Stamp(), Buffer::copy("word"), cluster.now)
                    .ok());
    cluster.drain(leader);
    cluster.settle();
  }
  cluster.advance(Duration::millis(200), true);
  for (uint32_t id = 1; id <= 3; ++id) {
    EXPECT_EQ(cluster.node(id).commit(), Index(11));
    EXPECT_EQ(cluster.at(id).machine.words, cluster.at(leader).machine.words);
  }
}

}  // namespace quorate::raft::testing
