// SPDX-License-Identifier: Apache-2.0
#include "os/disk.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "os/sync_pace.h"

namespace quorate::os {
namespace {

using EngineKind = Disk::EngineKind;
using env::OpenMode;
using env::Sync;

class DiskTest : public ::testing::TestWithParam<EngineKind> {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "/quorate-disk-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    disk_ = open_disk(root_);
  }
  void TearDown() override {
    disk_.reset();
    std::filesystem::remove_all(root_);
  }

  std::unique_ptr<Disk> open_disk(const std::string& root) {
    Result<std::unique_ptr<Disk>> disk = Disk::open(loop_, root, Disk::Options{GetParam()});
    EXPECT_TRUE(disk.ok()) << disk.status().to_string();
    return std::move(disk).value();
  }

  std::unique_ptr<env::File> open_file(const std::string& path) {
    Result<std::unique_ptr<env::File>> file = disk_->open(path, OpenMode::kCreate);
    EXPECT_TRUE(file.ok()) << file.status().to_string();
    return std::move(file).value();
  }

  // Turns the loop until `done`, at most for some seconds.
  template <class Done>
  void turn_until(Done done) {
    const Instant limit = loop_.clock().now() + Duration::seconds(20);
    while (!done() && loop_.clock().now() < limit) {
      loop_.turn();
    }
    EXPECT_TRUE(done());
  }

  static std::string content(env::File& file) {
    std::string bytes(file.size().value(), '\0');
    EXPECT_EQ(file.read(0, bytes).value(), bytes.size());
    return bytes;
  }

  Loop loop_;
  std::string root_;
  std::unique_ptr<Disk> disk_;
};

TEST_P(DiskTest, a_write_completes_in_the_loop_and_never_inside_the_call) {
  const std::unique_ptr<env::File> file = open_file("log");
  bool done = false;
  const std::string bytes = "hello";
  file->write(3, {bytes, " ", "world"}, Sync::kData, [&](Status status) {
    EXPECT_TRUE(status.ok()) << status.to_string();
    done = true;
  });
  EXPECT_FALSE(done);
  turn_until([&] { return done; });
  EXPECT_EQ(content(*file), std::string(3, '\0') + "hello world");
}

TEST_P(DiskTest, callbacks_of_a_file_come_in_the_order_of_submission) {
  const std::unique_ptr<env::File> file = open_file("log");
  std::vector<int> order;
  std::function<void(int)> submit = [&](int i) {
    file->write(static_cast<uint64_t>(i), {"x"}, i % 3 == 0 ? Sync::kData : Sync::kNone,
                [&, i](Status status) {
                  EXPECT_TRUE(status.ok());
                  order.push_back(i);
                  if (i < 100) {
                    submit(i + 100);
                  }
                });
  };
  for (int i = 0; i < 100; ++i) {
    submit(i);
  }
  turn_until([&] { return order.size() == 200; });
  std::vector<int> expected;
  for (int i = 0; i < 200; ++i) {
    expected.push_back(i);
  }
  EXPECT_EQ(order, expected);
}

TEST_P(DiskTest, writes_of_one_turn_share_one_sync) {
  const std::unique_ptr<env::File> file = open_file("log");
  int done = 0;
  for (int i = 0; i < 50; ++i) {
    file->write(static_cast<uint64_t>(i), {"x"}, Sync::kData, [&](Status) { ++done; });
  }
  turn_until([&] { return done == 50; });
  EXPECT_EQ(disk_->counters().writes, 50u);
  EXPECT_EQ(disk_->counters().bytes, 50u);
  EXPECT_EQ(disk_->counters().syncs, 1u);
}

TEST_P(DiskTest, many_files_are_written_in_one_turn) {
  std::vector<std::unique_ptr<env::File>> files;
  size_t done = 0;
  for (int i = 0; i < 100; ++i) {
    files.push_back(open_file("file-" + std::to_string(i)));
    files.back()->write(0, {"content"}, Sync::kData, [&](Status status) {
      EXPECT_TRUE(status.ok());
      ++done;
    });
  }
  turn_until([&] { return done == files.size(); });
  for (const std::unique_ptr<env::File>& file : files) {
    EXPECT_EQ(content(*file), "content");
  }
}

TEST_P(DiskTest, a_write_of_very_many_pieces_arrives_whole) {
  const std::unique_ptr<env::File> file = open_file("log");
  const std::vector<std::string> source(5000, "piece.");
  const std::vector<std::string_view> pieces(source.begin(), source.end());
  bool done = false;
  file->write(0, pieces, Sync::kNone, [&](Status status) { done = status.ok(); });
  turn_until([&] { return done; });
  EXPECT_EQ(content(*file).size(), 30'000u);
}

TEST_P(DiskTest, a_closed_file_never_calls_back) {
  std::unique_ptr<env::File> file = open_file("log");
  const std::unique_ptr<env::File> other = open_file("other");
  file->write(0, {"queued"}, Sync::kData, [](Status) { FAIL() << "the file is gone"; });
  if (GetParam() != EngineKind::kPlain) {
    loop_.turn();  // the sync is with the kernel when the file is closed
  }
  bool done = false;
  other->write(0, {"x"}, Sync::kData, [&](Status) { done = true; });
  file.reset();
  turn_until([&] { return done; });
}

TEST_P(DiskTest, a_callback_may_close_its_own_file_and_the_disk) {
  std::unique_ptr<env::File> file = open_file("log");
  int calls = 0;
  for (int i = 0; i < 2; ++i) {
    file->write(0, {"x"}, Sync::kData, [&](Status) {
      ++calls;
      file.reset();
      disk_.reset();
    });
  }
  turn_until([&] { return calls > 0; });
  loop_.turn();
  EXPECT_EQ(calls, 1);
}

TEST_P(DiskTest, a_file_that_outlives_its_disk_never_calls_back) {
  const std::unique_ptr<env::File> file = open_file("log");
  file->write(0, {"x"}, Sync::kData, [](Status) { FAIL() << "the disk is gone"; });
  disk_.reset();
  file->write(0, {"x"}, Sync::kData, [](Status) { FAIL() << "the disk is gone"; });
  for (int i = 0; i < 10; ++i) {
    loop_.turn();
  }
}

TEST_P(DiskTest, a_failed_write_says_why_and_its_neighbours_succeed) {
  Result<std::unique_ptr<env::File>> reader = disk_->open("log", OpenMode::kCreate);
  ASSERT_TRUE(reader.ok());
  reader = disk_->open("log", OpenMode::kRead);
  ASSERT_TRUE(reader.ok());
  const std::unique_ptr<env::File> file = open_file("good");
  std::vector<Code> codes;
  (*reader)->write(0, {"x"}, Sync::kData, [&](Status status) {
    EXPECT_NE(status.message().find("Bad file descriptor"), std::string::npos);
    codes.push_back(status.code());
  });
  file->write(0, {"x"}, Sync::kData, [&](Status status) { codes.push_back(status.code()); });
  turn_until([&] { return codes.size() == 2; });
  EXPECT_EQ(codes[0] == Code::kOk, codes[1] != Code::kOk);
  EXPECT_EQ(disk_->counters().failures, 1u);
}

TEST_P(DiskTest, a_full_file_system_is_resource_exhausted) {
  const std::string mount = root_ + "/tiny";
  ASSERT_EQ(::mkdir(mount.c_str(), 0755), 0);
  if (::mount("tmpfs", mount.c_str(), "tmpfs", 0, "size=64k") != 0) {
    GTEST_SKIP() << "mounting a tmpfs needs root";
  }
  const std::string big(256 * 1024, 'x');
  {
    const std::unique_ptr<env::File> file = open_file("tiny/log");
    EXPECT_EQ(file->write_now(0, big).code(), Code::kResourceExhausted);
    std::vector<Code> codes;
    file->write(0, {big}, Sync::kData, [&](Status status) { codes.push_back(status.code()); });
    file->write(0, {"small"}, Sync::kData, [&](Status status) { codes.push_back(status.code()); });
    turn_until([&] { return codes.size() == 2; });
    EXPECT_EQ(codes, (std::vector<Code>{Code::kResourceExhausted, Code::kOk}));
  }
  EXPECT_EQ(::umount(mount.c_str()), 0);
}

// Descriptors of this process whose files have no name any more.
int nameless() {
  int count = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", error)) {
    const std::string target = std::filesystem::read_symlink(entry.path(), error).string();
    count += target.ends_with("/large (deleted)") ? 1 : 0;
  }
  return count;
}

TEST_P(DiskTest, a_large_file_is_gone_at_once_and_its_room_soon) {
  const std::string bytes(3 * 1024 * 1024, 'x');
  std::unique_ptr<env::File> file = open_file("large");
  bool written = false;
  file->write(0, {bytes}, Sync::kData, [&](const Status& status) { written = status.ok(); });
  turn_until([&] { return written; });
  file.reset();
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(disk_->remove("large").ok(), round == 0);
    EXPECT_EQ(disk_->open("large", OpenMode::kRead).status().code(), Code::kNotFound);
  }
  turn_until([] { return nameless() == 0; });
}

uint64_t size_of(int descriptor) {
  struct stat info {};
  EXPECT_EQ(::fstat(descriptor, &info), 0);
  return static_cast<uint64_t>(info.st_size);
}

TEST_P(DiskTest, a_large_file_gives_its_room_back_in_pieces) {
  constexpr uint64_t kBytes = 3 * 1024 * 1024;
  ASSERT_TRUE(open_file("large")->write_now(0, std::string(kBytes, 'x')).ok());
  ASSERT_TRUE(disk_->remove("large").ok());
  int held = -1;
  for (int fd = 0; fd < 1'000 && held < 0; ++fd) {
    std::error_code error;
    const std::filesystem::path link = "/proc/self/fd/" + std::to_string(fd);
    const std::string target = std::filesystem::read_symlink(link, error).string();
    held = target.ends_with("/large (deleted)") ? ::dup(fd) : -1;
  }
  ASSERT_GE(held, 0);
  uint64_t before = kBytes;
  turn_until([&] {
    const uint64_t now = size_of(held);
    EXPECT_LE(before - now, 1024u * 1024) << "all at once is what the disk stands still for";
    before = now;
    return nameless() == 1;  // our own
  });
  EXPECT_LE(before, 512u * 1024);
  ::close(held);
}

TEST_P(DiskTest, what_somebody_still_reads_or_has_under_another_name_is_not_cut) {
  const std::string bytes(3 * 1024 * 1024, 'x');
  for (const char* name : {"read", "linked"}) {
    ASSERT_TRUE(open_file(name)->write_now(0, bytes).ok());
  }
  const auto reader = disk_->open("read", OpenMode::kRead);
  ASSERT_EQ(::link((root_ + "/linked").c_str(), (root_ + "/other").c_str()), 0);
  ASSERT_TRUE(disk_->remove("read").ok());
  ASSERT_TRUE(disk_->remove("linked").ok());
  const Instant end = loop_.clock().now() + Duration::millis(30);
  turn_until([&] { return loop_.clock().now() >= end; });
  EXPECT_TRUE(content(**reader) == bytes);
  EXPECT_TRUE(content(*disk_->open("other", OpenMode::kRead).value()) == bytes);
}

TEST_P(DiskTest, a_disk_that_ends_gives_back_what_still_had_to_leave) {
  for (const char* name : {"a/large", "b/large"}) {
    ASSERT_TRUE(disk_->make_directory(std::string(name, 1)).ok());
    ASSERT_TRUE(open_file(name)->write_now(0, std::string(2'000'000, 'x')).ok());
    ASSERT_TRUE(disk_->remove(name).ok());
  }
  EXPECT_EQ(nameless(), 2);
  disk_.reset();
  EXPECT_EQ(nameless(), 0);
}

TEST_P(DiskTest, a_durable_rename_is_done_beside_the_loop_and_answered_from_it) {
  ASSERT_TRUE(disk_->make_directory("in").ok());
  ASSERT_TRUE(open_file("in/old")->write_now(0, "x").ok());
  std::vector<Code> answers;
  const auto keep = [&answers](const Status& status) { answers.push_back(status.code()); };
  disk_->rename_durably("in/old", "in/new", keep);
  disk_->rename_durably("in/old", "in/newer", keep);
  disk_->rename_durably("in/new", "../out", keep);
  EXPECT_TRUE(answers.empty()) << "never inside the call";
  turn_until([&] { return answers.size() == 3; });
  EXPECT_EQ(answers, (std::vector<Code>{Code::kOk, Code::kNotFound, Code::kInvalidArgument}));
  EXPECT_EQ(disk_->list("in").value(), std::vector<std::string>{"new"});
}

TEST_P(DiskTest, two_users_of_one_directory_are_refused_until_the_first_is_gone) {
  const Result<std::unique_ptr<Disk>> second = Disk::open(loop_, root_);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().code(), Code::kUnavailable);
  disk_.reset();
  EXPECT_TRUE(Disk::open(loop_, root_).ok());
}

TEST_P(DiskTest, a_killed_process_leaves_no_lock_behind) {
  disk_.reset();
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const int lock = ::open((root_ + "/lock").c_str(), O_RDWR | O_CREAT, 0644);
    Loop loop;
    const Result<std::unique_ptr<Disk>> disk = Disk::open(loop, root_, {EngineKind::kPlain});
    const char byte = disk.ok() && lock >= 0 ? 'y' : 'n';
    if (::write(ready[1], &byte, 1) == 1) {
      ::pause();
    }
    ::_exit(1);
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  EXPECT_EQ(byte, 'y');
  EXPECT_EQ(Disk::open(loop_, root_).status().code(), Code::kUnavailable);
  ASSERT_EQ(::kill(child, SIGKILL), 0);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_TRUE(Disk::open(loop_, root_).ok());
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_P(DiskTest, names_are_made_listed_renamed_and_removed) {
  ASSERT_TRUE(disk_->make_directory("wal").ok());
  ASSERT_TRUE(disk_->make_directory("wal").ok());
  for (const char* name : {"wal/b", "wal/a"}) {
    ASSERT_TRUE(open_file(name)->write_now(0, name).ok());
  }
  ASSERT_TRUE(disk_->sync_directory("wal").ok());
  EXPECT_EQ(disk_->list("wal").value(), (std::vector<std::string>{"a", "b"}));
  ASSERT_TRUE(disk_->rename("wal/b", "wal/a").ok());
  EXPECT_EQ(disk_->list("wal").value(), (std::vector<std::string>{"a"}));
  EXPECT_EQ(content(*disk_->open("wal/a", OpenMode::kRead).value()), "wal/b");
  EXPECT_EQ(disk_->list("").value(), (std::vector<std::string>{"wal"})) << "without the lock";
  EXPECT_TRUE(disk_->sync_directory("").ok());
  ASSERT_TRUE(disk_->remove("wal/a").ok());
  EXPECT_EQ(disk_->remove("wal/a").code(), Code::kNotFound);
  ASSERT_TRUE(disk_->remove("wal").ok());
  EXPECT_EQ(disk_->list("wal").status().code(), Code::kNotFound);
}

TEST_P(DiskTest, reads_stop_at_the_end_and_missing_files_are_not_found) {
  EXPECT_EQ(disk_->open("none", OpenMode::kRead).status().code(), Code::kNotFound);
  EXPECT_EQ(disk_->open("none", OpenMode::kWrite).status().code(), Code::kNotFound);
  const std::unique_ptr<env::File> file = open_file("some");
  ASSERT_TRUE(file->write_now(0, "0123456789").ok());
  ASSERT_TRUE(file->truncate(8).ok());
  ASSERT_TRUE(file->sync_now().ok());
  char out[16];
  EXPECT_EQ(file->read(5, out).value(), 3u);
  EXPECT_EQ(std::string(out, 3), "567");
  EXPECT_EQ(file->read(8, out).value(), 0u);
  EXPECT_EQ(file->size().value(), 8u);
}

TEST_P(DiskTest, no_path_leaves_the_root) {
  for (const char* path : {"/etc/passwd", "../x", "a/../../x", ".."}) {
    EXPECT_EQ(disk_->open(path, OpenMode::kCreate).status().code(), Code::kInvalidArgument) << path;
    EXPECT_EQ(disk_->list(path).status().code(), Code::kInvalidArgument) << path;
    EXPECT_EQ(disk_->remove(path).code(), Code::kInvalidArgument) << path;
    EXPECT_EQ(disk_->make_directory(path).code(), Code::kInvalidArgument) << path;
    EXPECT_EQ(disk_->rename("a", path).code(), Code::kInvalidArgument) << path;
  }
}

TEST_P(DiskTest, zeros_are_written_beside_the_loop_and_answered_from_it) {
  const std::unique_ptr<env::File> file = open_file("ahead");
  ASSERT_TRUE(file->write_now(0, std::string(20'000, 'x')).ok());
  int done = 0;
  const auto count = [&done](Status status) {
    EXPECT_TRUE(status.ok()) << status.to_string();
    ++done;
  };
  file->zero(0, env::File::kBlockBytes, Sync::kNone, count);
  file->zero(8192, 100, Sync::kData, count);  // less than a block: through the cache
  EXPECT_EQ(done, 0) << "never inside the call";
  turn_until([&] { return done == 2; });
  std::string expected(20'000, 'x');
  expected.replace(0, 4096, 4096, '\0');
  expected.replace(8192, 100, 100, '\0');
  EXPECT_EQ(content(*file), expected);
}

TEST_P(DiskTest, zeros_of_a_file_that_is_closed_are_answered_to_nobody) {
  std::unique_ptr<env::File> file = open_file("ahead");
  bool heard = false;
  file->zero(0, env::File::kBlockBytes, Sync::kData, [&heard](Status) { heard = true; });
  file.reset();
  disk_.reset();  // waits for the thread
  loop_.turn();
  EXPECT_FALSE(heard);
}

TEST_P(DiskTest, what_is_written_aside_arrives_whole_and_is_answered_from_the_loop) {
  const std::unique_ptr<env::File> file = open_file("aside");
  std::string expected(env::File::kBlockBytes, 'h');
  ASSERT_TRUE(file->write_now(0, expected).ok());
  int done = 0;
  const auto count = [&done](Status status) {
    EXPECT_TRUE(status.ok()) << status.to_string();
    ++done;
  };
  for (const size_t blocks : {1, 0, 77, 32}) {
    std::string bytes(blocks * env::File::kBlockBytes, '\0');
    for (size_t i = 0; i < bytes.size(); ++i) {
      bytes[i] = static_cast<char>((i * 31 + blocks) >> (i % 3));
    }
    const int before = done;
    file->write_aside(expected.size(), bytes, blocks == 1 ? Sync::kNone : Sync::kData, count);
    EXPECT_EQ(done, before) << "never inside the call";
    turn_until([&] { return done == before + 1; });
    expected += bytes;
  }
  file->write(expected.size(), {"the end"}, Sync::kData, count);
  turn_until([&] { return done == 5; });
  EXPECT_TRUE(content(*file) == expected + "the end");
}

TEST_P(DiskTest, what_is_written_aside_of_a_file_that_is_closed_is_answered_to_nobody) {
  std::unique_ptr<env::File> file = open_file("aside");
  bool heard = false;
  file->write_aside(0, std::string(env::File::kBlockBytes, 'x'), Sync::kData,
                    [&heard](Status) { heard = true; });
  file.reset();
  disk_.reset();  // waits for the thread
  loop_.turn();
  EXPECT_FALSE(heard);
}

TEST_P(DiskTest, a_failure_aside_with_a_sync_breaks_the_file) {
  if (::access("/dev/full", W_OK) != 0) {
    GTEST_SKIP() << "no /dev/full here";
  }
  std::filesystem::create_symlink("/dev/full", root_ + "/full");
  const std::unique_ptr<env::File> file = open_file("full");
  std::vector<Status> answers;
  const auto keep = [&answers](Status status) { answers.push_back(std::move(status)); };
  file->write_aside(0, std::string(env::File::kBlockBytes, 'x'), Sync::kData, keep);
  turn_until([&] { return answers.size() == 1; });
  EXPECT_FALSE(answers[0].ok());
  file->write_aside(0, "", Sync::kData, keep);
  file->write(0, {""}, Sync::kData, keep);
  turn_until([&] { return answers.size() == 3; });
  EXPECT_FALSE(answers[1].ok());
  EXPECT_FALSE(answers[2].ok());
}

TEST_P(DiskTest, a_long_run_of_small_syncs_comes_to_its_end_and_to_the_right_bytes) {
  const std::unique_ptr<env::File> file = open_file("log");
  const std::string block(512, 'b');
  uint64_t done = 0;
  std::function<void()> next = [&] {
    file->write(done * block.size(), {block}, Sync::kData, [&](Status status) {
      EXPECT_TRUE(status.ok());
      if (++done < 200) {
        next();
      }
    });
  };
  next();
  turn_until([&] { return done == 200; });
  EXPECT_EQ(content(*file), std::string(200 * 512, 'b'));
  EXPECT_EQ(disk_->counters().syncs, 200u);
  if (GetParam() == EngineKind::kUringAll) {
    EXPECT_EQ(disk_->counters().syncs_in_loop, 0u);
  }
}

std::string engine_name(const ::testing::TestParamInfo<EngineKind>& info) {
  const char* names[] = {"plain", "uring", "uring_all"};
  return names[static_cast<int>(info.param)];
}

INSTANTIATE_TEST_SUITE_P(Engines, DiskTest,
                         ::testing::Values(EngineKind::kPlain, EngineKind::kUring,
                                           EngineKind::kUringAll),
                         engine_name);

TEST(SyncPace, the_loop_waits_only_for_small_batches_on_a_disk_that_has_proved_fast) {
  SyncPace pace;
  const Duration fast = SyncPace::kFastMax;
  const Duration slow = fast + Duration::nanos(1);
  for (int i = 0; i < SyncPace::kProofs; ++i) {
    EXPECT_FALSE(pace.may_block(1)) << "not known well enough after " << i;
    pace.took(fast);
  }
  EXPECT_TRUE(pace.may_block(SyncPace::kSmallBytesMax));
  EXPECT_FALSE(pace.may_block(SyncPace::kSmallBytesMax + 1));
  pace.took(slow);
  EXPECT_FALSE(pace.may_block(1)) << "one slow sync is enough";
  for (int i = 0; i < SyncPace::kProofs; ++i) {
    pace.took(i == 20 ? slow : fast);
  }
  EXPECT_FALSE(pace.may_block(1)) << "the proofs must come in a row";
}

// As container runtimes do it.
bool forbid_io_uring() {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{4, filter};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

TEST(Disk, where_io_uring_is_forbidden_the_plain_engine_serves) {
  char root[] = "/tmp/quorate-disk-XXXXXX";
  ASSERT_NE(::mkdtemp(root), nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    if (!forbid_io_uring()) {
      ::_exit(77);
    }
    Loop loop;
    Result<std::unique_ptr<Disk>> disk = Disk::open(loop, root);
    if (!disk.ok() || (*disk)->engine() != EngineKind::kPlain) {
      ::_exit(1);
    }
    Result<std::unique_ptr<env::File>> file = (*disk)->open("f", OpenMode::kCreate);
    (*file)->write(0, {"x"}, Sync::kData, [](Status status) { ::_exit(status.ok() ? 0 : 2); });
    loop.turn();
    ::_exit(3);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  std::filesystem::remove_all(root);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) {
    GTEST_SKIP() << "no seccomp here";
  }
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

// A sync that fails cannot be made to happen on a healthy disk; the state that must follow can.
TEST(FileState, after_a_failed_sync_no_later_write_succeeds) {
  char pattern[] = "/tmp/quorate-file-XXXXXX";
  FileState file(::mkstemp(pattern), "log");
  std::vector<Code> codes;
  const auto queue = [&](Sync sync) {
    file.queued.push_back({0, {"x"}, sync, [&](Status s) { codes.push_back(s.code()); }, Status()});
  };
  queue(Sync::kNone);
  queue(Sync::kData);
  EXPECT_TRUE(file.write_batch());
  file.finish_sync(failure_of("sync", EIO));
  EXPECT_EQ(file.run_callbacks(), 1u);
  queue(Sync::kData);
  EXPECT_FALSE(file.write_batch());
  EXPECT_EQ(file.run_callbacks(), 1u);
  EXPECT_EQ(codes, (std::vector<Code>{Code::kOk, Code::kInternal, Code::kInternal}));
  ::unlink(pattern);
}

}  // namespace
}  // namespace quorate::os
