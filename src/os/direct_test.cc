// SPDX-License-Identifier: Apache-2.0
// Writes past the page cache, among writes of all other kinds.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/prng.h"
#include "os/disk.h"
#include "os/file.h"

namespace quorate::os {
namespace {

using EngineKind = Disk::EngineKind;
using env::OpenMode;
using env::Sync;

constexpr size_t kBlock = env::File::kBlockBytes;

class PastCacheTest : public ::testing::TestWithParam<EngineKind> {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "/quorate-past-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    open();
    const int direct = ::open((root_ + "/log").c_str(), O_WRONLY | O_DIRECT);
    allows_direct_ = direct >= 0 && GetParam() != EngineKind::kPlain;
    ::close(direct);
  }
  void TearDown() override {
    file_.reset();
    disk_.reset();
    std::filesystem::remove_all(root_);
  }

  void open() {
    Result<std::unique_ptr<Disk>> disk = Disk::open(loop_, root_, Disk::Options{GetParam()});
    ASSERT_TRUE(disk.ok()) << disk.status().to_string();
    disk_ = std::move(disk).value();
    file_ = disk_->open("log", OpenMode::kCreate).value();
  }

  void write(uint64_t offset, const std::string& bytes, Sync sync) {
    bool done = false;
    file_->write(offset, {bytes}, sync, [&done](const Status& status) {
      EXPECT_TRUE(status.ok()) << status.to_string();
      done = true;
    });
    const Instant limit = loop_.clock().now() + Duration::seconds(20);
    while (!done && loop_.clock().now() < limit) {
      loop_.turn();
    }
    ASSERT_TRUE(done);
  }

  std::string content() {
    std::string bytes(file_->size().value(), '\0');
    EXPECT_EQ(file_->read(0, bytes).value(), bytes.size());
    return bytes;
  }

  // What it goes by: a synced write through the cache, after which nothing waits for a sync.
  void settle(size_t size) { write(0, std::string(size, '.'), Sync::kData); }

  Loop loop_;
  std::string root_;
  bool allows_direct_ = false;
  std::unique_ptr<Disk> disk_;
  std::unique_ptr<env::File> file_;
};

TEST_P(PastCacheTest, writes_that_end_with_a_block_agree_with_all_others) {
  constexpr size_t kSize = 64 * kBlock;
  Prng prng(11);
  std::string model(kSize, '.');
  settle(kSize);
  size_t end = 0;
  for (int i = 0; i < 400; ++i) {
    // Mostly on from where the last one ended, as a log does it.
    const size_t begin = prng.below(4) == 0 ? prng.below(kSize - kBlock) : end;
    end = begin + 1 + prng.below(3 * kBlock);
    if (end + kBlock > kSize) {
      end = 0;
      continue;
    }
    std::string bytes(end - begin, static_cast<char>('a' + i % 26));
    if (prng.below(8) != 0) {
      bytes.append((kBlock - end % kBlock) % kBlock, '\0');
    }
    const uint64_t how = prng.below(12);
    if (how == 0) {
      ASSERT_TRUE(file_->write_now(begin, bytes).ok());
      ASSERT_TRUE(prng.below(2) == 0 || file_->sync_now().ok());
    } else {
      write(begin, bytes, how == 1 ? Sync::kNone : Sync::kData);
    }
    model.replace(begin, bytes.size(), bytes);
    ASSERT_EQ(content(), model) << "after write " << i;
  }
  if (allows_direct_) {
    EXPECT_GT(disk_->counters().past_cache, 100u);
  }
}

TEST_P(PastCacheTest, a_read_sees_a_write_that_is_under_way) {
  settle(4 * kBlock);
  const std::string bytes(2 * kBlock - 100, 'x');
  bool done = false;
  file_->write(100, {bytes}, Sync::kData, [&done](const Status&) { done = true; });
  loop_.turn();
  const std::string expected = std::string(100, '.') + bytes + std::string(2 * kBlock, '.');
  EXPECT_EQ(content(), expected);
  char part[8];
  EXPECT_EQ(file_->read(2 * kBlock - 4, part).value(), sizeof(part));
  EXPECT_EQ(std::string(part, sizeof(part)), "xxxx....");
  while (!done) {
    loop_.turn();
  }
  EXPECT_EQ(content(), expected);
}

TEST_P(PastCacheTest, what_is_under_way_when_the_disk_is_closed_is_written_whole) {
  settle(40 * kBlock);
  for (int round = 0; round < 20; ++round) {
    const std::string bytes(30 * kBlock - 7, static_cast<char>('a' + round));
    file_->write(7, {bytes}, Sync::kData, [](const Status&) {});
    loop_.turn();
    file_.reset();
    disk_.reset();
    const std::string others(1024 * 1024, '!');  // the memory may be anybody's now
    open();
    EXPECT_EQ(content().substr(0, 7 + bytes.size()), std::string(7, '.') + bytes);
    settle(40 * kBlock);
  }
}

// What was written without a sync before is not covered by a write that syncs itself alone.
TEST_P(PastCacheTest, nothing_goes_past_the_cache_while_something_waits_there_for_a_sync) {
  settle(4 * kBlock);
  const std::string block(kBlock, 'b');
  write(0, block, Sync::kNone);
  const uint64_t before = disk_->counters().past_cache;
  write(kBlock, block, Sync::kData);
  EXPECT_EQ(disk_->counters().past_cache, before);
  write(2 * kBlock, block, Sync::kData);
  EXPECT_EQ(disk_->counters().past_cache, before + (allows_direct_ ? 1 : 0));
  ASSERT_TRUE(file_->write_now(0, "now").ok());
  write(3 * kBlock, block, Sync::kData);
  EXPECT_EQ(disk_->counters().past_cache, before + (allows_direct_ ? 1 : 0));
}

std::string engine_name(const ::testing::TestParamInfo<EngineKind>& info) {
  const char* names[] = {"plain", "uring", "uring_all"};
  return names[static_cast<int>(info.param)];
}

INSTANTIATE_TEST_SUITE_P(Engines, PastCacheTest,
                         ::testing::Values(EngineKind::kPlain, EngineKind::kUring,
                                           EngineKind::kUringAll),
                         engine_name);

// The kernel's answers that a healthy disk does not give.
class LaidTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/quorate-laid-XXXXXX";
    file_ = std::make_shared<FileState>(::mkstemp(pattern), "log");
    path_ = pattern;
    file_->unsynced = false;
  }
  void TearDown() override { ::unlink(path_.c_str()); }

  [[nodiscard]] bool lay() {
    file_->queued.push_back({0, {block_}, Sync::kData, nullptr, Status()});
    const bool laid = file_->lay_batch();
    file_->running.clear();
    file_->queued.clear();
    return laid;
  }
  [[nodiscard]] std::string content() const {
    std::string bytes(2 * kBlock, '\0');
    bytes.resize(static_cast<size_t>(::pread(file_->descriptor, bytes.data(), bytes.size(), 0)));
    return bytes;
  }

  const std::string block_ = std::string(kBlock, 'b');
  std::shared_ptr<FileState> file_;
  std::string path_;
};

TEST_F(LaidTest, what_was_not_written_whole_is_written_through_the_cache) {
  for (const int result : {0, 512, -ENOMEM}) {
    ASSERT_TRUE(lay());
    ASSERT_EQ(::ftruncate(file_->descriptor, 0), 0);
    EXPECT_TRUE(file_->finish_laid(result).ok());
    EXPECT_EQ(content(), block_) << result;
  }
}

TEST_F(LaidTest, a_device_that_refuses_is_not_asked_again) {
  ASSERT_TRUE(lay());
  EXPECT_TRUE(file_->finish_laid(-EINVAL).ok());
  EXPECT_EQ(content(), block_);
  EXPECT_FALSE(lay());
}

TEST_F(LaidTest, a_write_that_the_device_failed_is_not_tried_again) {
  ASSERT_TRUE(lay());
  EXPECT_FALSE(file_->finish_laid(-EIO).ok());
  EXPECT_EQ(content(), "");
}

TEST_F(LaidTest, until_it_has_ended_a_read_sees_the_copy) {
  ASSERT_EQ(::pwrite(file_->descriptor, "on the disk", 11, 0), 11);
  File reader(file_, nullptr, {});
  std::string out(2 * kBlock, '\0');
  ASSERT_TRUE(lay());
  EXPECT_EQ(reader.read(0, out).value(), kBlock);
  EXPECT_EQ(out.substr(0, kBlock), block_);
  EXPECT_EQ(reader.read(kBlock - 3, std::span<char>(out).first(8)).value(), 3u);
  EXPECT_EQ(reader.read(kBlock, out).value(), 0u);
  EXPECT_TRUE(file_->finish_laid(static_cast<int>(kBlock)).ok());
  EXPECT_EQ(reader.read(0, out).value(), 11u);
}

TEST_F(LaidTest, who_has_no_more_use_for_the_buffer_may_come_back) {
  ASSERT_TRUE(lay());
  EXPECT_TRUE(file_->finish_laid(static_cast<int>(kBlock)).ok());
  file_->past.release();
  EXPECT_TRUE(file_->past.bytes().empty());
  EXPECT_TRUE(lay());
  EXPECT_EQ(file_->past.bytes(), block_);
}

}  // namespace
}  // namespace quorate::os
