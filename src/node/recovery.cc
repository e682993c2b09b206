// SPDX-License-Identifier: Apache-2.0
// Recovery: from a data directory to running replicas.
//
// Per group two things are on disk: the newest snapshot and the log. Four cases:
//   snapshot at or above the log's start      restore it; the log goes on from there
//   snapshot above the log's end              the crash came between installing and compacting:
//                                             the log is emptied and begins after the snapshot
//   no snapshot, log from index 1             the machine starts empty and the log rebuilds it
//   no usable snapshot, log begins later      the state is lost: the replica starts empty, keeps
//   its
//                                             vote, and neither votes nor stands until a leader has
//                                             brought it up to date
#include <algorithm>
#include <map>

#include "base/limits.h"
#include "base/prng.h"
#include "node/node.h"

namespace quorate::node {
namespace {

std::vector<raft::TermRun> runs_from(const wal::RecoveredGroup& log, Index index, Term term) {
  std::vector<raft::TermRun> runs = {{index, term}};
  for (const wal::TermRun& run : log.terms) {
    if (run.first > index && run.term != runs.back().term) {
      runs.push_back({run.first, run.term});
    } else if (run.first <= index && index < log.last) {
      // The run that covers what follows the snapshot; its term may be newer than the snapshot's.
      if (run.term != runs.back().term && run.first == index.next()) {
        runs.push_back({index.next(), run.term});
      }
    }
  }
  return runs;
}

std::vector<raft::Entry> configs_of(const wal::RecoveredGroup& log, Index after) {
  std::vector<raft::Entry> configs;
  for (const wal::Record& record : log.marked) {
    if (record.index > after) {
      configs.push_back({record.index, record.term, static_cast<raft::EntryKind>(record.kind),
                         record.at, record.payload});
    }
  }
  return configs;
}

std::vector<raft::Hole> holes_of(const wal::RecoveredGroup& log, Index after) {
  std::vector<raft::Hole> holes;
  for (const wal::Hole& hole : log.holes) {
    if (hole.last > after) {
      holes.push_back({std::max(hole.first, after.next()), hole.last});
    }
  }
  return holes;
}

raft::HardState hard_state_of(const wal::State& state) {
  return {state.term, state.vote, state.commit};
}

}  // namespace

Result<std::unique_ptr<Node>> Node::open(const World& world, const Options& options) {
  if (options.id.none()) {
    return Status(Code::kInvalidArgument, "a node needs an id above zero");
  }
  if (options.groups == 0 || options.groups > limits::kGroupsMax) {
    return Status(Code::kInvalidArgument, "the number of groups must be from 1 to 65536");
  }
  std::unique_ptr<Node> node(new Node(world, options));
  RETURN_IF_ERROR(node->recover());
  world.net.set_handler(node.get());
  node->arm_tick();
  node->schedule_turn();
  return node;
}

Status Node::recover() {
  Result<std::optional<Identity>> loaded = load_identity(world_.disk);
  RETURN_IF_ERROR(loaded);
  const bool fresh = !loaded->has_value();
  if (fresh) {
    identity_ = {options_.cluster_id, options_.id, options_.groups, false, {}};
    RETURN_IF_ERROR(store_identity(world_.disk, identity_));
  } else {
    identity_ = **loaded;
    if (identity_.node != options_.id) {
      return Status(Code::kInvalidArgument,
                    "the data directory belongs to node " + std::to_string(identity_.node.value()) +
                        ", not to node " + std::to_string(options_.id.value()));
    }
  }
  wal::Options wal_options = options_.wal;
  wal_options.kinds_kept = {static_cast<uint8_t>(raft::EntryKind::kConfig)};
  Result<wal::Wal::Opened> opened =
      wal::Wal::open(world_.disk, world_.clock, world_.timer, wal_options);
  RETURN_IF_ERROR(opened);
  wal_ = std::move(opened->wal);
  notes_ = std::move(opened->notes);
  Result<std::unique_ptr<wal::SnapshotStore>> store =
      wal::SnapshotStore::open(world_.disk, options_.snapshot_directory);
  RETURN_IF_ERROR(store);
  snapshots_ = std::move(*store);
  slots_.resize(identity_.groups + 1);
  RETURN_IF_ERROR(load_groups(std::move(opened->groups)));
  if (!identity_.established) {
    return begin_founding(opened->groups_unknown);
  }
  // A crash came between a removal and the end of its mark. Of a log that has lost groups the mark
  // is all that is left.
  for (const GroupId id : identity_.suspects) {
    if (group(id) == nullptr && !opened->groups_unknown) {
      gone_.emplace_back(id, slots_[id.value()].birth);
    }
  }
  return Status::success();
}

Status Node::load_groups(std::vector<wal::RecoveredGroup> recovered) {
  std::map<GroupId, wal::SnapshotInfo> snapshots;
  for (wal::SnapshotInfo& info : snapshots_->list()) {
    const GroupId group = info.group;
    snapshots[group] = std::move(info);
  }
  for (const wal::RecoveredGroup& log : recovered) {
    const auto found = snapshots.find(log.group);
    RETURN_IF_ERROR(load_group(log, found == snapshots.end() ? nullptr : &found->second));
    if (found != snapshots.end()) {
      snapshots.erase(found);
    }
  }
  // A snapshot whose log records were lost with their segment still holds acknowledged state.
  for (const auto& [group, info] : snapshots) {
    wal::RecoveredGroup log;
    log.group = group;
    log.tail_suspect = true;
    notes_.push_back("group " + std::to_string(group.value()) + " has a snapshot but no log");
    RETURN_IF_ERROR(load_group(log, &info));
  }
  return Status::success();
}

Status Node::load_group(const wal::RecoveredGroup& log, const wal::SnapshotInfo* snapshot) {
  if (log.group.value() >= slots_.size()) {
    return Status(Code::kCorrupted, "the log names group " + std::to_string(log.group.value()) +
                                        ", which this cluster does not have");
  }
  raft::Restored restored;
  restored.hard_state = hard_state_of(log.state);
  restored.tail_suspect =
      log.tail_suspect ||
      std::binary_search(identity_.suspects.begin(), identity_.suspects.end(), log.group);
  lived_ = lived_ || log.state.term > Term(1);
  restored.last = log.last;
  if (snapshot != nullptr && snapshot->index >= log.compacted) {
    Result<raft::SnapshotMeta> meta = meta_of(*snapshot);
    RETURN_IF_ERROR(meta);
    restored.snapshot = *meta;
    restored.terms = runs_from(log, meta->index, meta->term);
    if (meta->index >= log.last) {
      restored.last = meta->index;
      restored.terms = {{meta->index, meta->term}};
    }
    if (meta->index > log.compacted) {
      wal_->compact(log.group, meta->index, meta->term);
    }
  } else if (!log.compacted.none()) {
    notes_.push_back("group " + std::to_string(log.group.value()) +
                     " lost its snapshot and will be brought up to date by its leader");
    wal_->remove_group(log.group);
    // An older one that is still there would pass for newer than what the leader sends.
    snapshots_->remove_group(log.group);
    const wal::State kept = log.state;
    wal_->append(log.group, &kept, {});
    restored.last = Index();
    restored.hard_state.commit = Index();
    restored.tail_suspect = true;
  } else {
    for (const wal::TermRun& run : log.terms) {
      restored.terms.push_back({run.first, run.term});
    }
  }
  if (restored.last > restored.snapshot.index) {
    restored.configs = configs_of(log, restored.snapshot.index);
    restored.holes = holes_of(log, restored.snapshot.index);
  }
  std::unique_ptr<service::GroupMachine> machine = new_machine(log.group);
  Stamp stamp;
  if (!restored.snapshot.index.none()) {
    RETURN_IF_ERROR(restore_machine(log.group, *machine, stamp));
  }
  if (restored.tail_suspect) {
    RETURN_IF_ERROR(set_suspect(log.group, true));
  }
  add_group(log.group, {std::move(restored), std::move(machine), stamp});
  return Status::success();
}

Status Node::restore_machine(GroupId id, service::GroupMachine& machine, Stamp& stamp) {
  constexpr size_t kPieceBytes = 1024 * 1024;
  constexpr size_t kStampBytes = 8;
  Result<std::unique_ptr<wal::SnapshotReader>> reader = snapshots_->newest(id);
  RETURN_IF_ERROR(reader);
  machine.restore_begin();
  uint64_t offset = 0;
  while (true) {
    const Result<std::string> piece = (*reader)->read(offset, kPieceBytes);
    RETURN_IF_ERROR(piece);
    if (piece->empty()) {
      return machine.restore_end();
    }
    std::string_view rest = *piece;
    if (offset == 0) {
      if (rest.size() < kStampBytes) {
        return Status(Code::kCorrupted, "a snapshot ends before its stamp");
      }
      stamp = Reader(rest).stamp();
      rest.remove_prefix(kStampBytes);
    }
    RETURN_IF_ERROR(machine.restore_piece(rest));
    offset += piece->size();
  }
}

raft::Options Node::raft_options(GroupId id) const {
  raft::Options result = options_.raft;
  result.id = options_.id;
  result.cached_bytes_max =
      std::min(result.cached_bytes_max, limits::kEntryCacheBytesMax / (identity_.groups + 1));
  result.seed = mix64(options_.seed ^ (uint64_t{id.value()} << 32) ^ options_.id.value());
  return result;
}

std::unique_ptr<service::GroupMachine> Node::new_machine(GroupId id) const {
  return std::make_unique<service::GroupMachine>(world_.registry, id);
}

Group& Node::add_group(GroupId id, ReplicaState state) {
  Slot& slot = slots_[id.value()];
  ASSERT(slot.group == nullptr, "one replica of a group on a node");
  slot.birth = ++births_;
  slot.group =
      std::make_unique<Group>(id, raft_options(id), std::move(state), static_cast<Shell&>(*this));
  activate(*slot.group);
  return *slot.group;
}

}  // namespace quorate::node
