// SPDX-License-Identifier: Apache-2.0
#include "wal/snapshot_store.h"

#include <gtest/gtest.h>

#include "base/prng.h"
#include "wal/faulty_disk_test.h"
#include "wal/manual_loop_test.h"
#include "wal/snapshot_file.h"

namespace quorate::wal {
namespace {

const std::string kFile = "snapshots/snapshot-1-10-2";

std::string body_of(size_t bytes) {
  std::string body(bytes, '\0');
  for (size_t i = 0; i < bytes; ++i) {
    body[i] = static_cast<char>(mix64(i / 8) >> (i % 8 * 8));
  }
  return body;
}

struct Fixture {
  ManualLoop loop;
  FaultyDisk disk{loop};
  Prng prng{1};
  std::unique_ptr<SnapshotStore> store;

  Fixture() { EXPECT_TRUE(open().ok()); }
  Status open() {
    auto opened = SnapshotStore::open(disk, "snapshots");
    if (opened.ok()) {
      store = std::move(opened).value();
    }
    return opened;
  }
  void restart(Crash mode = Crash::kLose) {
    store.reset();
    loop.forget();
    disk.crash(mode, prng);
    ASSERT_TRUE(open().ok());
  }
  static SnapshotInfo info(uint64_t index = 10) {
    return {GroupId(1), Index(index), Term(2), "configuration", 0};
  }
  Status write(const SnapshotInfo& what, std::string_view body, size_t piece = 100'000) {
    auto writer = store->create(what);
    RETURN_IF_ERROR(writer);
    Status result;
    const auto keep = [&](Status status) { result = std::move(status); };
    for (size_t at = 0; at < body.size() && result.ok(); at += piece) {
      (*writer)->write(body.substr(at, piece), keep);
      loop.run();
    }
    if (result.ok()) {
      (*writer)->finish(keep);
      loop.run();
    }
    return result;
  }
  Status receive(const SnapshotInfo& what, std::string_view body, uint64_t from, uint64_t to) {
    for (uint64_t at = from; at < to; at += 50'000) {
      const uint64_t size = std::min<uint64_t>(50'000, to - at);
      RETURN_IF_ERROR(store->receive(what, at, body.substr(at, size)));
    }
    return Status::success();
  }
  std::string read_all() {
    auto reader = store->newest(GroupId(1));
    return reader.ok() ? (*reader)->read(0, SIZE_MAX).value() : "none";
  }
};

TEST(snapshot_store, a_finished_snapshot_is_there_after_a_crash) {
  for (const size_t bytes : {size_t{0}, size_t{1}, kBlockBytes, kBlockBytes + 1, size_t{300'000}}) {
    Fixture test;
    const std::string body = body_of(bytes);
    ASSERT_TRUE(test.write(Fixture::info(), body).ok());
    test.restart();
    ASSERT_EQ(test.store->list().size(), 1u);
    EXPECT_EQ(test.store->list()[0].bytes, bytes);
    EXPECT_EQ(test.store->list()[0].header, "configuration");
    EXPECT_EQ(test.read_all(), body);
  }
}

// The log's syncs stand behind it on the disk, and clients wait for those.
TEST(snapshot_store, little_of_what_is_taken_is_left_for_one_sync) {
  constexpr size_t kMost = 1024 * 1024;
  Fixture test;
  const std::string body = body_of(5 * kMost);
  auto writer = test.store->create(Fixture::info());
  ASSERT_TRUE(writer.ok());
  constexpr size_t kPiece = 100'000;
  for (size_t at = 0; at < body.size(); at += kPiece) {
    (*writer)->write(body.substr(at, kPiece),
                     [](const Status& status) { ASSERT_TRUE(status.ok()); });
    test.loop.run();
    size_t unsynced = 0;
    for (const auto& write : test.disk.node(kFile + ".new").unsynced) {
      unsynced += write.bytes.size();
    }
    ASSERT_LE(unsynced, kMost) << "after " << at + kPiece;
  }
}

TEST(snapshot_store, pieces_are_read_from_any_offset) {
  Fixture test;
  const std::string body = body_of(300'000);
  ASSERT_TRUE(test.write(Fixture::info(), body).ok());
  auto reader = test.store->newest(GroupId(1));
  for (const uint64_t offset : {0, 1, 65'535, 65'536, 65'537, 131'000, 299'999, 300'000}) {
    for (const size_t size : {size_t{1}, size_t{65'536}, size_t{200'000}}) {
      EXPECT_EQ(*(*reader)->read(offset, size), body.substr(offset, size));
    }
  }
}

TEST(snapshot_store, what_was_not_finished_leaves_nothing_behind) {
  Fixture test;
  {
    auto writer = test.store->create(Fixture::info());
    (*writer)->write("abc", [](Status) {});
    test.loop.run();
  }
  EXPECT_TRUE(test.disk.names().empty());
  auto writer = test.store->create(Fixture::info());
  (*writer)->write("abc", [](Status) {});
  test.loop.run();
  // A process that dies runs no destructors.
  const auto image = test.disk.image();
  EXPECT_EQ(image.size(), 1u);
  writer->reset();
  test.disk.restore(image);
  ASSERT_TRUE(test.open().ok());
  EXPECT_TRUE(test.disk.names().empty());
}

// Wherever a crash comes: what was listed by then is there afterwards.
TEST(snapshot_store, a_taken_snapshot_counts_only_once_its_bytes_and_its_name_are_durable) {
  const std::string body = body_of(100'000);
  for (int steps = 0; steps < 8; ++steps) {
    for (const Crash crash : {Crash::kLose, Crash::kTear, Crash::kKeep}) {
      Fixture test;
      auto writer = test.store->create(Fixture::info());
      bool finished = false;
      (*writer)->write(body, [](Status) {});
      test.loop.run();
      (*writer)->finish([&finished](const Status& status) { finished = status.ok(); });
      for (int step = 0; step < steps; ++step) {
        test.loop.step();
      }
      const bool listed = !test.store->list().empty();
      EXPECT_EQ(listed, finished) << "after " << steps << " steps";
      EXPECT_TRUE(steps < 7 || finished);
      writer->reset();
      test.restart(crash);
      EXPECT_TRUE(!listed || test.read_all() == body) << "after " << steps << " steps";
    }
  }
}

TEST(snapshot_store, what_is_given_up_while_it_gets_its_name_goes_with_it) {
  for (const bool received : {false, true}) {
    Fixture test;
    auto writer = test.store->create(Fixture::info());
    (*writer)->write("taken", [](Status) {});
    test.loop.run();
    (*writer)->finish([](Status) { FAIL() << "nobody is there to hear of it"; });
    EXPECT_TRUE(test.loop.step()) << "the last write";
    writer->reset();
    EXPECT_EQ(test.store->create(Fixture::info()).status().code(), Code::kUnavailable)
        << "its file is not free yet";
    if (received) {
      ASSERT_TRUE(test.store->receive(Fixture::info(), 0, "taken").ok());
      ASSERT_TRUE(test.store->receive_finish(Fixture::info()).ok());
    }
    test.loop.run();
    EXPECT_EQ(test.read_all(), received ? "taken" : "none");
    EXPECT_EQ(test.disk.names().size(), received ? 1u : 0u);
    EXPECT_TRUE(test.store->create(Fixture::info()).ok());
  }
}

TEST(snapshot_store, a_flipped_bit_anywhere_is_found_at_open) {
  Fixture test;
  ASSERT_TRUE(test.write(Fixture::info(), body_of(70'000)).ok());
  const auto image = test.disk.image();
  const size_t size = test.disk.node(kFile).bytes.size();
  for (size_t byte = 0; byte < size; byte += byte < 80 || byte + 80 > size ? 1 : 997) {
    test.disk.restore(image);
    test.disk.flip(kFile, byte, static_cast<int>(byte % 8));
    ASSERT_TRUE(test.open().ok());
    EXPECT_TRUE(test.store->list().empty()) << "byte " << byte;
    EXPECT_EQ(test.store->newest(GroupId(1)).status().code(), Code::kNotFound);
  }
}

TEST(snapshot_store, a_file_cut_anywhere_is_found_at_open) {
  Fixture test;
  ASSERT_TRUE(test.write(Fixture::info(), body_of(70'000)).ok());
  const auto image = test.disk.image();
  const size_t size = test.disk.node(kFile).bytes.size();
  for (size_t cut = 0; cut < size; cut += cut < 80 || cut + 80 > size ? 1 : 997) {
    test.disk.restore(image);
    test.disk.cut(kFile, cut);
    ASSERT_TRUE(test.open().ok());
    EXPECT_TRUE(test.store->list().empty()) << "cut at " << cut;
  }
}

TEST(snapshot_store, damage_found_while_reading_is_not_offered_again) {
  Fixture test;
  ASSERT_TRUE(test.write(Fixture::info(5), "old").ok());
  ASSERT_TRUE(test.write(Fixture::info(10), body_of(200'000)).ok());
  auto reader = test.store->newest(GroupId(1));
  test.disk.flip(kFile, 100'000, 3);
  EXPECT_TRUE((*reader)->read(0, 1000).ok()) << "its own block is good";
  EXPECT_EQ((*reader)->read(0, 200'000).status().code(), Code::kCorrupted);
  ASSERT_EQ(test.store->list().size(), 1u);
  EXPECT_EQ(test.store->list()[0].index, Index(5)) << "the one before is offered";
}

TEST(snapshot_store, a_newer_damaged_snapshot_gives_way_to_an_older_good_one) {
  Fixture test;
  ASSERT_TRUE(test.write(Fixture::info(5), "old").ok());
  ASSERT_TRUE(test.write(Fixture::info(10), body_of(1000)).ok());
  test.disk.flip(kFile, 500, 0);
  test.restart();
  EXPECT_EQ(test.read_all(), "old");
}

TEST(snapshot_store, what_the_disk_cannot_read_now_is_neither_damaged_nor_removed) {
  Fixture test;
  ASSERT_TRUE(test.write(Fixture::info(5), "old").ok());
  const std::string body = body_of(200'000);
  ASSERT_TRUE(test.write(Fixture::info(), body).ok());
  auto reader = test.store->newest(GroupId(1));
  test.disk.node(kFile).bad_sectors.insert(10);
  EXPECT_EQ((*reader)->read(0, SIZE_MAX).status().code(), Code::kUnavailable);
  ASSERT_EQ(test.store->list().size(), 1u);
  EXPECT_EQ(test.store->list()[0].index, Index(10)) << "still offered";

  ASSERT_TRUE(test.open().ok());
  EXPECT_EQ(test.read_all(), "old");
  test.disk.node(kFile).bad_sectors.clear();
  ASSERT_TRUE(test.open().ok());
  EXPECT_EQ(test.read_all(), body) << "it was only unreadable, not damaged";
}

TEST(snapshot_store, a_transfer_goes_on_after_a_crash_where_it_had_got_to) {
  Fixture test;
  const std::string body = body_of(1'000'000);
  SnapshotInfo info = Fixture::info();
  info.bytes = body.size();
  ASSERT_TRUE(test.receive(info, body, 0, 500'000).ok());
  EXPECT_EQ(test.store->received(GroupId(1), Index(10), Term(2)), 500'000u);
  EXPECT_EQ(test.store->received(GroupId(1), Index(11), Term(2)), 0u) << "another snapshot";
  test.restart(Crash::kKeep);
  const uint64_t from = test.store->received(GroupId(1), Index(10), Term(2));
  EXPECT_EQ(from, 500'000 / kBlockBytes * kBlockBytes);
  EXPECT_FALSE(test.store->receive(info, from + 1, "x").ok()) << "a gap";
  ASSERT_TRUE(test.receive(info, body, from, body.size()).ok());
  EXPECT_TRUE(test.store->list().empty()) << "does not count before it is finished";
  ASSERT_TRUE(test.store->receive_finish(info).ok());
  test.restart();
  EXPECT_EQ(test.read_all(), body);
}

TEST(snapshot_store, an_incomplete_transfer_cannot_be_finished) {
  Fixture test;
  SnapshotInfo info = Fixture::info();
  info.bytes = 1000;
  ASSERT_TRUE(test.store->receive(info, 0, "short").ok());
  EXPECT_FALSE(test.store->receive_finish(info).ok());
}

TEST(snapshot_store, a_piece_at_the_start_starts_over) {
  Fixture test;
  ASSERT_TRUE(test.store->receive(Fixture::info(9), 0, body_of(100'000)).ok());
  ASSERT_TRUE(test.store->receive(Fixture::info(10), 0, "ab").ok());
  ASSERT_TRUE(test.store->receive(Fixture::info(10), 0, "cd").ok());
  ASSERT_TRUE(test.store->receive(Fixture::info(10), 2, "ef").ok());
  ASSERT_TRUE(test.store->receive_finish(Fixture::info(10)).ok());
  EXPECT_EQ(test.read_all(), "cdef");
  EXPECT_EQ(test.disk.names().size(), 1u);
}

TEST(snapshot_store, every_failing_operation_leaves_the_old_snapshot_or_the_new) {
  for (uint64_t operation = 1; operation < 40; ++operation) {
    Fixture test;
    ASSERT_TRUE(test.write(Fixture::info(5), "old").ok());
    const std::string body = body_of(150'000);
    test.disk.fail_at(operation, true);
    const Status status = operation % 2 == 0 ? test.write(Fixture::info(), body, 50'000) : [&] {
      RETURN_IF_ERROR(test.receive(Fixture::info(), body, 0, body.size()));
      return test.store->receive_finish(Fixture::info());
    }();
    test.restart(operation % 3 == 0 ? Crash::kTear : Crash::kLose);
    const std::string now = test.read_all();
    EXPECT_TRUE(now == body || (!status.ok() && now == "old")) << "operation " << operation;
  }
}

TEST(snapshot_store, unsynced_parts_of_a_transfer_are_found_out_after_a_crash) {
  const std::string body = body_of(600'000);
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    Fixture test;
    test.prng = Prng(seed);
    ASSERT_TRUE(test.receive(Fixture::info(), body, 0, 400'000).ok());
    (void)test.disk.sync_directory("snapshots");
    test.restart(Crash::kTear);
    const uint64_t from = test.store->received(GroupId(1), Index(10), Term(2));
    ASSERT_LE(from, 400'000u);
    ASSERT_TRUE(test.receive(Fixture::info(), body, from, body.size()).ok());
    ASSERT_TRUE(test.store->receive_finish(Fixture::info()).ok());
    test.restart();
    EXPECT_EQ(test.read_all() == body, true) << "seed " << seed;
  }
}

TEST(snapshot_store, prune_keeps_the_newest_and_what_is_being_read) {
  Fixture test;
  ASSERT_TRUE(test.write(Fixture::info(5), "five").ok());
  auto reader = test.store->newest(GroupId(1));
  ASSERT_TRUE(test.write(Fixture::info(10), "ten").ok());
  test.store->prune(GroupId(1));
  EXPECT_EQ(*(*reader)->read(0, 10), "five");
  EXPECT_EQ(test.disk.names().size(), 2u);
  reader->reset();
  test.store->prune(GroupId(1));
  EXPECT_EQ(test.disk.names().size(), 1u);
  EXPECT_EQ(test.read_all(), "ten");
  test.store->remove_group(GroupId(1));
  EXPECT_TRUE(test.disk.names().empty());
  EXPECT_TRUE(test.store->list().empty());
}

}  // namespace
}  // namespace quorate::wal
