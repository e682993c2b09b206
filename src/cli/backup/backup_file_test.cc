// SPDX-License-Identifier: Apache-2.0
// The file of a backup: what was written is read, and damage anywhere is seen.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "cli/backup/backup_file.h"

namespace quorate::cli {
namespace {

class BackupFile : public ::testing::Test {
 protected:
  BackupFile()
      : path_(std::filesystem::temp_directory_path() /
              ("quorate_backup_test_" + std::to_string(::getpid()))) {}
  ~BackupFile() override {
    std::filesystem::remove(path_);
    std::filesystem::remove(path_ + ".part");
  }

  void write_three() {
    Result<BackupWriter> file = BackupWriter::open(path_);
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE(file->write(BlockKind::kHeader, "{}").ok());
    ASSERT_TRUE(file->write(BlockKind::kPage, std::string(1'000, 'x')).ok());
    EXPECT_FALSE(std::filesystem::exists(path_)) << "it is not whole yet";
    ASSERT_TRUE(file->write(BlockKind::kEnd, "").ok());
    ASSERT_TRUE(file->finish().ok());
  }
  std::string bytes() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }
  void put(const std::string& bytes) const {
    std::ofstream(path_, std::ios::binary)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }
  // How many blocks are read, or the failure.
  Result<size_t> read() const {
    Result<BackupReader> file = BackupReader::open(path_);
    RETURN_IF_ERROR(file);
    for (size_t blocks = 0;; ++blocks) {
      const Result<std::optional<Block>> block = file->next();
      RETURN_IF_ERROR(block);
      if (!block->has_value()) {
        return blocks;
      }
    }
  }

  std::string path_;
};

TEST_F(BackupFile, what_was_written_is_read) {
  write_three();
  Result<BackupReader> file = BackupReader::open(path_);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ((*file->next())->kind, BlockKind::kHeader);
  EXPECT_EQ((*file->next())->body, std::string(1'000, 'x'));
  EXPECT_EQ((*file->next())->kind, BlockKind::kEnd);
  EXPECT_FALSE(file->next()->has_value());
}

TEST_F(BackupFile, a_cut_is_seen_but_between_two_blocks) {
  write_three();
  const std::string whole = bytes();
  size_t unseen = 0;
  for (size_t size = 0; size < whole.size(); ++size) {
    put(whole.substr(0, size));
    const Result<size_t> blocks = read();
    unseen += blocks.ok() ? 1 : 0;
    EXPECT_TRUE(blocks.ok() || blocks.status().code() == Code::kCorrupted);
  }
  EXPECT_EQ(unseen, 3u) << "before each block; the missing end tells";
}

TEST_F(BackupFile, a_flipped_bit_is_seen_wherever_it_is) {
  write_three();
  const std::string whole = bytes();
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << (at % 8)));
    put(damaged);
    EXPECT_EQ(read().status().code(), Code::kCorrupted) << at;
  }
}

}  // namespace
}  // namespace quorate::cli
