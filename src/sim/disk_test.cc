// SPDX-License-Identifier: Apache-2.0
// What a virtual disk keeps and loses.
#include "sim/disk.h"

#include <gtest/gtest.h>

#include <set>

namespace quorate::sim {
namespace {

class disk : public ::testing::Test {
 protected:
  std::unique_ptr<env::File> make(const std::string& path) {
    auto file = files.open(path, env::OpenMode::kCreate);
    EXPECT_TRUE(file.ok());
    return std::move(file).value();
  }
  std::string read(const std::string& path) {
    auto file = files.open(path, env::OpenMode::kRead);
    if (!file.ok()) {
      return "<none>";
    }
    std::string out((*file)->size().value(), ' ');
    EXPECT_TRUE((*file)->read(0, out).ok());
    return out;
  }
  void run() { world.run_until(world.now() + Duration::seconds(1)); }

  World world{11};
  DiskImage image{world};
  LifeId life = world.begin_life();
  Disk files{image, life};
};

TEST_F(disk, a_synced_file_with_a_synced_name_survives_every_crash) {
  auto file = make("a");
  ASSERT_TRUE(file->write_now(0, "hello").ok());
  ASSERT_TRUE(file->sync_now().ok());
  ASSERT_TRUE(files.sync_directory("").ok());
  for (int i = 0; i < 50; ++i) {
    image.crash();
    ASSERT_EQ(read("a"), "hello");
  }
}

TEST_F(disk, an_unsynced_write_is_kept_lost_or_torn) {
  std::set<std::string> seen;
  for (int i = 0; i < 300; ++i) {
    image.wipe();
    auto file = make("a");
    ASSERT_TRUE(file->sync_now().ok());
    ASSERT_TRUE(files.sync_directory("").ok());
    ASSERT_TRUE(file->write_now(0, "ab").ok());
    image.crash();
    seen.insert(read("a"));
  }
  EXPECT_TRUE(seen.contains("ab") && seen.contains("") && seen.contains("a"));
}

TEST_F(disk, a_name_without_a_synced_directory_may_be_lost) {
  int lost = 0;
  for (int i = 0; i < 100; ++i) {
    image.wipe();
    auto file = make("a");
    ASSERT_TRUE(file->write_now(0, "x").ok());
    ASSERT_TRUE(file->sync_now().ok());
    image.crash();
    lost += read("a") == "<none>" ? 1 : 0;
  }
  EXPECT_GT(lost, 10);
  EXPECT_LT(lost, 90);
}

TEST_F(disk, a_durable_rename_is_kept_by_a_crash_once_it_is_answered) {
  std::set<std::string> seen;
  for (int64_t micros = 0; micros < 1'000; micros += 20) {
    image.wipe();
    {
      auto file = make("old");
      ASSERT_TRUE(file->write_now(0, "x").ok());
      ASSERT_TRUE(file->sync_now().ok());
      ASSERT_TRUE(files.sync_directory("").ok());
    }
    bool done = false;
    files.rename_durably("old", "new", [&done](const Status& status) { done = status.ok(); });
    EXPECT_FALSE(done);
    world.run_until(world.now() + Duration::micros(micros));
    image.crash();
    const bool renamed = read("new") == "x";
    EXPECT_NE(read("old") == "x", renamed) << "one of both";
    EXPECT_TRUE(renamed || !done);
    seen.insert(done ? "done" : renamed ? "renamed" : "old");
    image.wipe();
    run();
  }
  EXPECT_EQ(seen.size(), 3u);
}

TEST_F(disk, a_rename_is_all_or_nothing) {
  for (int i = 0; i < 100; ++i) {
    image.wipe();
    for (const char* name : {"old", "new"}) {
      auto file = make(name);
      ASSERT_TRUE(file->write_now(0, name).ok());
      ASSERT_TRUE(file->sync_now().ok());
    }
    ASSERT_TRUE(files.sync_directory("").ok());
    ASSERT_TRUE(files.rename("new", "old").ok());
    image.crash();
    if (read("new") == "<none>") {
      ASSERT_EQ(read("old"), "new");
    } else {
      ASSERT_EQ(read("old"), "old");
    }
  }
}

TEST_F(disk, asynchronous_writes_complete_in_order_and_a_sync_covers_those_before_it) {
  auto file = make("a");
  ASSERT_TRUE(files.sync_directory("").ok());
  std::string order;
  file->write(0, {"ab", "cd"}, env::Sync::kNone, [&](const Status&) { order += '1'; });
  file->write(4, {"ef"}, env::Sync::kData, [&](const Status&) { order += '2'; });
  EXPECT_EQ(order, "");
  run();
  EXPECT_EQ(order, "12");
  image.crash();
  EXPECT_EQ(read("a"), "abcdef");
}

TEST_F(disk, the_callbacks_of_a_destroyed_file_never_run) {
  auto file = make("a");
  file->write(0, {"ab"}, env::Sync::kData, [](const Status&) { FAIL(); });
  file.reset();
  run();
}

TEST_F(disk, a_failed_sync_leaves_its_writes_uncovered_for_ever) {
  int lost = 0;
  for (int i = 0; i < 60; ++i) {
    image.wipe();
    image.set_model({});
    auto file = make("a");
    ASSERT_TRUE(files.sync_directory("").ok());
    ASSERT_TRUE(file->write_now(0, "xy").ok());
    DiskModel failing;
    failing.sync_fails_ppm = 1'000'000;
    image.set_model(failing);
    EXPECT_FALSE(file->sync_now().ok());
    image.set_model({});
    EXPECT_TRUE(file->sync_now().ok());
    image.crash();
    lost += read("a") != "xy" ? 1 : 0;
  }
  EXPECT_GT(lost, 10);
}

TEST_F(disk, a_full_disk_refuses_growth_and_takes_overwrites) {
  DiskModel small;
  small.capacity_bytes = 10;
  image.set_model(small);
  auto file = make("a");
  EXPECT_TRUE(file->write_now(0, "0123456789").ok());
  EXPECT_EQ(file->write_now(5, "0123456789").code(), Code::kResourceExhausted);
  EXPECT_TRUE(file->write_now(0, "9876543210").ok());
  ASSERT_TRUE(files.remove("a").ok());
  EXPECT_TRUE(make("b")->write_now(0, "0123456789").ok());
}

TEST_F(disk, an_armed_freeze_cuts_a_blocking_sequence_apart) {
  auto file = make("a");
  ASSERT_TRUE(files.sync_directory("").ok());
  ASSERT_TRUE(file->write_now(0, "old").ok());
  ASSERT_TRUE(file->sync_now().ok());
  image.arm_freeze(2);
  EXPECT_TRUE(file->write_now(0, "new").ok());
  EXPECT_FALSE(file->sync_now().ok());
  EXPECT_TRUE(image.frozen());
  EXPECT_FALSE(files.rename("a", "b").ok());
  file.reset();
  image.crash();
  EXPECT_FALSE(image.frozen());
  EXPECT_EQ(read("b"), "<none>");
  EXPECT_EQ(read("a").size(), 3u);
}

TEST_F(disk, rot_flips_one_synced_bit) {
  EXPECT_EQ(image.rot(""), "");
  ASSERT_TRUE(files.make_directory("wal").ok());
  auto file = make("wal/x");
  ASSERT_TRUE(file->write_now(0, "abc").ok());
  ASSERT_TRUE(file->sync_now().ok());
  EXPECT_EQ(image.rot(""), "") << "a file without a durable name is not rotted";
  ASSERT_TRUE(files.sync_directory("wal").ok());
  EXPECT_NE(image.rot("wal"), "");
  EXPECT_NE(read("wal/x"), "abc");
}

TEST_F(disk, bytes_are_garbled_anywhere_but_where_the_file_was_synced_last) {
  ASSERT_TRUE(files.make_directory("wal").ok());
  auto file = make("wal/x");
  ASSERT_TRUE(files.sync_directory("wal").ok());
  const std::string piece(64, 'a');
  for (uint64_t i = 0; i < 16; ++i) {
    ASSERT_TRUE(file->write_now(i * 64, piece).ok());
    ASSERT_TRUE(file->sync_now().ok());
  }
  EXPECT_EQ(image.garble("wal"), "");
  ASSERT_TRUE(file->write_now(16 * 64, piece).ok());
  ASSERT_TRUE(file->sync_now().ok());
  while (image.garble("wal").empty()) {
  }
  EXPECT_NE(read("wal/x").substr(0, 64), piece);
  EXPECT_EQ(read("wal/x").substr(64), std::string(16 * 64, 'a'));
}

}  // namespace
}  // namespace quorate::sim
