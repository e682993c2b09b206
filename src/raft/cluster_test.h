// SPDX-License-Identifier: Apache-2.0
// Cluster: replicas of one group in memory, with their disks and the messages between them, for
// transcripts and for the randomized test. It does what an owner must do with a Ready, and no
// more. Each replica's disk is two copies: what was written, and what survives a crash.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/prng.h"
#include "raft/node.h"

namespace quorate::raft::testing {

struct Disk {
  HardState state;
  SnapshotMeta snapshot;
  std::string image;              // the snapshot's bytes
  std::map<uint64_t, Entry> log;  // lost entries too: their terms are known
  std::set<uint64_t> lost;
  bool suspect = false;
  SnapshotMeta incoming;  // a snapshot on its way in
  std::string incoming_bytes;

  void write(const Entries& entries);
  void compact(Index through);
  [[nodiscard]] Restored restored() const;
};

// What waits for the disk.
struct Unsynced {
  std::optional<HardState> state;
  Entries entries;
  std::vector<Message> after;
  PersistPoint point;
};

// The replicated machine: a list of words, which a snapshot copies.
struct Machine {
  Index applied;
  Stamp at;
  std::string words;
  void apply(const Entry& entry);
  [[nodiscard]] std::string image() const;
  void restore(const std::string& image);
};

struct Replica {
  Options options;
  Config initial;
  std::unique_ptr<Node> node;  // null: crashed
  Disk written;
  Disk durable;
  std::deque<Unsynced> unsynced;
  std::deque<std::function<void()>> io;  // snapshot work that the owner has not yet done
  Machine machine;
  Index told;  // the machine is to apply through here
  std::set<uint64_t> waiting_reads;
  std::vector<ReadReady> reads;  // waiting for the machine to get there
  Role role = Role::kFollower;
  Term term;
  uint64_t restarts = 0;
};

class Cluster {
 public:
  Instant now = Instant::from_nanos(1'000'000'000);
  bool auto_persist = true;
  bool auto_io = true;
  std::set<uint32_t> slow;  // their disks wait to be told, whatever auto_persist says
  std::set<uint32_t> lazy;  // their machines apply nothing
  bool trace = false;
  bool check = true;
  std::map<uint32_t, Replica> replicas;
  std::deque<Message> network;
  std::set<std::pair<uint32_t, uint32_t>> cuts;  // from, to
  std::vector<std::string> events;
  // Called for each entry as a machine applies it, and for each served read.
  std::function<void(uint32_t, const Entry&)> on_apply;
  std::function<void(uint32_t, const ReadReady&)> on_read;

  Replica& add(const Options& options, const Config& config);
  [[nodiscard]] Replica& at(uint32_t id);
  [[nodiscard]] Node& node(uint32_t id);
  void start(uint32_t id);
  void crash(uint32_t id);
  // Applies what the replica was told to, as far as it can be read.
  void apply(uint32_t id);
  // Works through every Ready of the replica.
  void drain(uint32_t id);
  bool persist_one(uint32_t id);
  void persist(uint32_t id);
  bool io_one(uint32_t id);
  // Hands a message to its receiver, through the codec.
  void deliver(Message message);
  // Everything, and what follows from it, until silence.
  void settle();
  void tick(uint32_t id);
  // Time passes; due replicas tick; with `talking` messages are delivered at once.
  void advance(Duration span, bool talking);
  // Of the machine as it is; the log goes through `index`, which may be less.
  void take_snapshot(uint32_t id, Index index);
  void say(const std::string& event) { events.push_back(event); }
  [[nodiscard]] uint32_t leader() const;  // the one of the greatest term, or zero

 private:
  void handle(uint32_t id, Ready ready);
  void serve_log(uint32_t id, const LogRead& read);
  void serve_snapshot(uint32_t id, const SnapshotRead& read);
  void store_piece(uint32_t id, const SnapshotWrite& piece);
  void install(uint32_t id, const SnapshotMeta& meta);
  void note_role(uint32_t id);
  void release_reads(uint32_t id);
};

[[nodiscard]] std::string render(const Message& message);
// Activates the mutant that QUORATE_MUTANT names, in a build that has mutants.
void choose_mutant();

}  // namespace quorate::raft::testing
