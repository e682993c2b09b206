// SPDX-License-Identifier: Apache-2.0
// One whole node on a virtual machine: what its directory says after a crash, and how it mends what
// its disk has lost when there is nobody to ask.
#include "node/node.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "base/hash.h"
#include "rpc/frame.h"
#include "service/kv/api.h"
#include "service/meta/state.h"
#include "service/registry.h"
#include "sim/disk.h"
#include "sim/net.h"
#include "sim/process.h"
#include "sim/world.h"

namespace quorate::node {
namespace {

constexpr GroupId kGroup(1);

class OneNode : public ::testing::Test {
 protected:
  OneNode() {
    registry_.add(service::ServiceId::kMeta, [] { return service::host<service::meta::State>(); });
    registry_.add(service::ServiceId::kKv, [] { return service::host<service::kv::State>(); });
    options_.id = NodeId(1);
    options_.groups = 2;
    options_.initial.push_back({NodeId(1), sim::Network::address_of(NodeId(1)), "", ""});
    options_.wal.segment_bytes = 256 * 1024;
    options_.raft.cached_bytes_max = 0;  // what is applied is read back from the log
  }
  ~OneNode() override { stop(); }

  Status start() {
    life_ = world_.begin_life();
    clock_ = std::make_unique<sim::Clock>(clock_model_);
    timer_ = std::make_unique<sim::Timer>(world_, clock_model_, life_);
    net_ = std::make_unique<sim::Net>(network_, NodeId(1), life_);
    disk_ = std::make_unique<sim::Disk>(image_, life_);
    Result<std::unique_ptr<Node>> opened =
        Node::open({*clock_, *timer_, *disk_, *net_, registry_}, options_);
    RETURN_IF_ERROR(opened);
    node_ = std::move(*opened);
    kv_ = std::make_unique<service::kv::Api>(*node_);
    return Status::success();
  }
  void stop() {
    if (clock_ != nullptr) {
      world_.end_life(life_);
      net_->silence();
      kv_.reset();
      node_.reset();
      net_.reset();
      timer_.reset();
      disk_.reset();
      clock_.reset();
      image_.process_exit();
    }
  }
  void cut_power() {
    stop();
    image_.crash();
  }

  bool run_until(Duration patience, const std::function<bool()>& reached) {
    const Instant end = world_.now() + patience;
    while (world_.now() < end && !reached()) {
      world_.run_until(world_.now() + Duration::millis(5));
      node_->check_invariants();
    }
    return reached();
  }
  void run_for(Duration span) {
    run_until(span, [] { return false; });
  }
  [[nodiscard]] bool leads(GroupId id) {
    return node_->group(id) != nullptr && node_->group(id)->leads();
  }

  Status put(std::string_view key, std::string_view value) {
    std::optional<Status> answer;
    service::kv::Put put;
    put.key = key;
    put.value = value;
    kv_->write(put, {}, [&](const Status& status, const auto&, const auto&) { answer = status; });
    run_until(Duration::seconds(2), [&] { return answer.has_value(); });
    return answer.value_or(Status(Code::kTimeout, "no answer"));
  }
  // The value, or what went wrong.
  std::string get(std::string_view key) {
    std::optional<std::string> answer;
    kv_->get({.key = key}, {}, [&](const Status& status, const auto& found, const auto&) {
      answer = status.ok() ? std::string(found.item.value) : status.to_string();
    });
    run_until(Duration::seconds(2), [&] { return answer.has_value(); });
    return answer.value_or("no answer");
  }

  // Writes zeros over `before` bytes ahead of where `text` stands in the log, and `after` from
  // there on. False if it stands nowhere.
  bool damage(const std::string& text, size_t before, size_t after) {
    sim::Disk disk(image_, life_);
    const std::vector<std::string> names = disk.list("wal").value();
    for (const std::string& name : names) {
      const auto opened = disk.open("wal/" + name, env::OpenMode::kWrite);
      const std::unique_ptr<env::File>& file = *opened;
      std::string bytes(options_.wal.segment_bytes, '\0');
      bytes.resize(file->read(0, bytes).value());
      const size_t at = bytes.find(text);
      if (at != std::string::npos) {
        const size_t begin = at - std::min(at, before);
        return file->write_now(begin, std::string(at + after - begin, '\0')).ok() &&
               file->sync_now().ok();
      }
    }
    return false;
  }

  sim::World world_{3};
  sim::Network network_{world_};
  sim::ClockModel clock_model_{world_};
  sim::DiskImage image_{world_};
  sim::LifeId life_;
  service::Registry registry_;
  Options options_;
  std::unique_ptr<sim::Clock> clock_;
  std::unique_ptr<sim::Timer> timer_;
  std::unique_ptr<sim::Net> net_;
  std::unique_ptr<sim::Disk> disk_;
  std::unique_ptr<Node> node_;
  std::unique_ptr<service::kv::Api> kv_;
};

using Suspects = std::vector<GroupId>;

TEST_F(OneNode, a_suspect_that_is_removed_stays_suspect_until_its_removal_is_durable) {
  ASSERT_TRUE(start().ok());
  ASSERT_TRUE(run_until(Duration::seconds(2), [this] { return leads(kGroup); }));
  node_->destroy_group(kGroup);
  run_for(Duration::millis(100));
  node_->create_group(kGroup);
  run_for(Duration::millis(100));
  ASSERT_EQ(node_->identity().suspects, Suspects{kGroup});
  node_->destroy_group(kGroup);
  cut_power();
  ASSERT_TRUE(start().ok());
  EXPECT_EQ(node_->identity().suspects, Suspects{kGroup});
}

TEST_F(OneNode, the_mark_of_a_removed_replica_goes_with_it_but_not_that_of_its_successor) {
  ASSERT_TRUE(start().ok());
  ASSERT_TRUE(run_until(Duration::seconds(2), [this] { return leads(kGroup); }));
  node_->destroy_group(kGroup);
  node_->create_group(kGroup);
  run_for(Duration::millis(100));
  EXPECT_EQ(node_->identity().suspects, Suspects{kGroup});
  node_->destroy_group(kGroup);
  run_for(Duration::millis(100));
  EXPECT_EQ(node_->identity().suspects, Suspects{});
}

// The window between the removal's sync and the mark's is small; a directory that was left in it is
// made by keeping the identity of before.
TEST_F(OneNode, a_mark_that_outlived_its_replica_in_a_crash_goes_with_the_next_start) {
  ASSERT_TRUE(start().ok());
  ASSERT_TRUE(run_until(Duration::seconds(2), [this] { return leads(kGroup); }));
  node_->destroy_group(kGroup);
  run_for(Duration::millis(100));
  ASSERT_EQ(node_->identity().suspects, Suspects{});
  Identity marked = node_->identity();
  marked.suspects = {kGroup};
  ASSERT_TRUE(store_identity(*disk_, marked).ok());
  cut_power();
  ASSERT_TRUE(start().ok());
  ASSERT_EQ(node_->identity().suspects, Suspects{kGroup});
  run_for(Duration::millis(200));
  EXPECT_EQ(node_->identity().suspects, Suspects{});
}

TEST_F(OneNode, an_applied_entry_that_is_lost_is_replaced_by_a_snapshot_if_nobody_has_it) {
  ASSERT_TRUE(start().ok());
  const GroupId id = node_->group_of_slot(slot_of("key"));
  ASSERT_TRUE(run_until(Duration::seconds(2), [&] { return leads(id); }));
  Group& group = *node_->group(id);
  ASSERT_TRUE(put("key", "a value to look for").ok());
  const Index lost = group.applied();
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(put("key" + std::to_string(i), "another").ok());
  }
  ASSERT_TRUE(damage("a value to look for", 0, 8));
  // A question for the entry makes the replica read it back.
  raft::Message question;
  question.kind = raft::MessageKind::kRepair;
  question.from = NodeId(2);
  question.to = NodeId(1);
  question.index = question.hint_index = lost;
  group.step(std::move(question), clock_->now());
  ASSERT_TRUE(run_until(Duration::millis(500), [&] { return group.raft().has_holes(); }));
  EXPECT_FALSE(group.leads());
  ASSERT_TRUE(run_until(Duration::seconds(5), [&] { return group.leads(); }));
  EXPECT_FALSE(group.raft().has_holes());
  EXPECT_GT(node_->counters().snapshots_taken, 0u);
  EXPECT_TRUE(put("key", "written after it").ok());
  cut_power();
  ASSERT_TRUE(start().ok());
  ASSERT_TRUE(run_until(Duration::seconds(2), [&] { return leads(id); }));
  EXPECT_EQ(get("key"), "written after it");
  EXPECT_EQ(get("key7"), "another");
}

// One that was still being read when the newer one came is still there. The leader's may be older
// than it, and has to be taken all the same.
TEST_F(OneNode, a_snapshot_older_than_its_log_is_given_up_with_the_log) {
  options_.snapshot_log_bytes = 8 * 1024;
  options_.snapshot_machine_percent = 1;
  ASSERT_TRUE(start().ok());
  const GroupId id = node_->group_of_slot(slot_of("key"));
  ASSERT_TRUE(run_until(Duration::seconds(2), [&] { return leads(id); }));
  const auto newest = [&] {
    const std::string prefix = "snapshot-" + std::to_string(id.value()) + "-";
    std::string name;
    const std::vector<std::string> names = disk_->list("snapshots").value();
    for (const std::string& each : names) {
      name = each.starts_with(prefix) && !each.ends_with(".new") ? each : name;
    }
    return name;
  };
  const auto put_until = [&](const std::function<bool()>& reached) {
    for (int i = 0; i < 500 && !reached(); ++i) {
      EXPECT_TRUE(put("key", std::string(1'000, 'v')).ok());
      run_for(Duration::millis(60));
    }
    return reached();
  };
  ASSERT_TRUE(put_until([&] { return !newest().empty(); }));
  const std::string older = newest();
  std::string bytes(64 * 1024, '\0');
  bytes.resize((*disk_->open("snapshots/" + older, env::OpenMode::kRead))->read(0, bytes).value());
  ASSERT_TRUE(put_until([&] { return newest() != older; }));
  run_for(Duration::millis(200));
  const std::string newer = newest();
  stop();
  {
    sim::Disk disk(image_, world_.begin_life());
    const auto again = disk.open("snapshots/" + older, env::OpenMode::kCreate);
    ASSERT_TRUE((*again)->write_now(0, bytes).ok() && (*again)->sync_now().ok());
    const auto rotten = disk.open("snapshots/" + newer, env::OpenMode::kWrite);
    ASSERT_TRUE((*rotten)->write_now(100, "rotten").ok() && (*rotten)->sync_now().ok());
    ASSERT_TRUE(disk.sync_directory("snapshots").ok());
  }
  ASSERT_TRUE(start().ok());
  const std::vector<std::string>& notes = node_->recovery_notes();
  ASSERT_TRUE(std::any_of(notes.begin(), notes.end(), [](const std::string& note) {
    return note.find("lost its snapshot") != std::string::npos;
  }));
  const std::vector<std::string> names = disk_->list("snapshots").value();
  EXPECT_EQ(std::count(names.begin(), names.end(), older), 0);
}

TEST_F(OneNode, every_item_of_a_frame_is_taken_in_however_many_there_are) {
  ASSERT_TRUE(start().ok());
  raft::Message message;
  message.kind = raft::MessageKind::kHeartbeatAnswer;
  message.term = Term(1);
  for (const uint64_t count : {1, 31, 32, 255, 256, 257, 512, 600}) {
    std::string frame;
    rpc::begin_frame(frame);
    for (uint64_t i = 0; i < count; ++i) {
      const size_t place = rpc::begin_item(frame, rpc::ItemKind::kRaft, kGroup);
      raft::encode(message, frame);
      rpc::end_item(frame, place);
    }
    const uint64_t before = node_->counters().messages_received;
    node_->on_frame(NodeId(2), frame);
    EXPECT_EQ(node_->counters().messages_received - before, count);
  }
}

TEST_F(OneNode, entries_that_stay_in_memory_are_bounded_for_all_groups_together) {
  options_.groups = 63;
  options_.wal.segment_bytes = 4 * 1024 * 1024;
  options_.raft.cached_bytes_max = raft::Options().cached_bytes_max;
  ASSERT_TRUE(start().ok());
  const GroupId id = node_->group_of_slot(slot_of("key"));
  ASSERT_TRUE(run_until(Duration::seconds(2), [&] { return leads(id); }));
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(put("key", std::string(1'000, 'v')).ok());
  }
  const size_t cached = node_->group(id)->raft().cached_bytes();
  EXPECT_GT(cached, 1'000u);
  // There is no follower that lacks any of them.
  EXPECT_LE(cached, limits::kEntryCacheBytesMax / 64 / 16);
}

TEST_F(OneNode, a_log_that_lost_groups_it_cannot_name_founds_nothing_alone) {
  ASSERT_TRUE(start().ok());
  ASSERT_TRUE(run_until(Duration::seconds(2), [this] { return leads(kGroup); }));
  ASSERT_TRUE(put("key", "a value to look for").ok());
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(put("key" + std::to_string(i), "another").ok());
  }
  run_for(Duration::millis(100));
  ASSERT_TRUE(damage("a value to look for", 300, 600));
  stop();
  ASSERT_TRUE(start().ok()) << "a directory that says whose it is";
  stop();
  sim::Disk disk(image_, world_.begin_life());
  ASSERT_TRUE(disk.remove("identity").ok());
  ASSERT_TRUE(disk.remove("identity.copy").ok());
  const Status status = start();
  EXPECT_EQ(status.code(), Code::kCorrupted) << status.to_string();
}

}  // namespace
}  // namespace quorate::node
