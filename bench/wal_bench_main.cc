// SPDX-License-Identifier: Apache-2.0
// What the log costs over the bare disk: flushes against a plain overwrite and sync of 4 KiB, many
// groups per flush, large payloads, and how fast recovery reads.
//
//   quorate-wal-bench [directory on the disk to measure]
//
// It makes and removes a directory "quorate-wal-bench" there.
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/assert.h"
#include "os/disk.h"
#include "os/loop.h"
#include "wal/wal.h"

namespace quorate::bench {
namespace {

constexpr uint64_t kSegmentBytes = 64ull * 1024 * 1024;

Duration cpu_used() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return Duration::seconds(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         Duration::micros(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

double micros(Duration duration) { return static_cast<double>(duration.nanos()) / 1000; }

// A loop, a disk, and the means to wait for one completion.
class Bench {
 public:
  explicit Bench(const std::string& root) : root_(root) {
    auto disk = os::Disk::open(loop_, root);
    ASSERT(disk.ok(), disk.status().message().c_str());
    disk_ = std::move(disk).value();
  }

  using Start = std::function<void(UniqueFunction<void(Status)>)>;
  // Starts and waits `times` times; the times it took, sorted, and the CPU of each in the mean.
  void measure(const std::string& what, int times, double bytes_each, const Start& start) {
    std::vector<Duration> took;
    const Duration cpu_before = cpu_used();
    for (int i = 0; i < times; ++i) {
      const Instant begin = clock_.now();
      start([this](Status status) {
        ASSERT(status.ok(), status.message().c_str());
        loop_.stop();
      });
      loop_.run();
      took.push_back(clock_.now() - begin);
    }
    const double cpu = micros(cpu_used() - cpu_before) / times;
    std::sort(took.begin(), took.end());
    const double p50 = micros(took[took.size() / 2]);
    // On a machine that is busy with other things the best tenth says more than the middle.
    std::printf("%-46s p10 %7.1f  p50 %7.1f  p99 %8.1f us  cpu %7.1f us", what.c_str(),
                micros(took[took.size() / 10]), p50, micros(took[took.size() * 99 / 100]), cpu);
    if (bytes_each > 0) {
      std::printf("  %7.1f MB/s", bytes_each / p50);
    }
    std::printf("\n");
    std::fflush(stdout);
  }
  std::unique_ptr<wal::Wal> open_wal() {
    wal::Options options;
    options.segment_bytes = kSegmentBytes;
    auto opened = wal::Wal::open(*disk_, clock_, loop_, options);
    ASSERT(opened.ok(), opened.status().message().c_str());
    return std::move(opened->wal);
  }
  void idle(Duration duration) {
    loop_.start(clock_.now() + duration, [this] { loop_.stop(); });
    loop_.run();
  }
  // Spare segments are written ahead; the figures are of what follows.
  void wait_for_spares() {
    for (int i = 0; i < 600 && !std::filesystem::exists(root_ + "/wal/spare-2"); ++i) {
      idle(Duration::millis(100));
    }
  }
  os::Disk& disk() { return *disk_; }
  [[nodiscard]] Instant now() const { return clock_.now(); }
  [[nodiscard]] uint64_t log_bytes() const {
    uint64_t bytes = 0;
    for (const auto& entry : std::filesystem::directory_iterator(root_ + "/wal")) {
      const bool segment = entry.path().filename().string().starts_with("segment");
      bytes += segment ? entry.file_size() : 0;
    }
    return bytes;
  }

 private:
  std::string root_;
  os::Clock clock_;
  os::Loop loop_;
  std::unique_ptr<os::Disk> disk_;
};

void plain_writes(Bench& bench) {
  auto file = bench.disk().open("plain", env::OpenMode::kCreate);
  ASSERT(file.ok());
  const std::string zeros(1024 * 1024, '\0');
  for (uint64_t i = 0; i < 16; ++i) {
    ASSERT((*file)->write_now(i * zeros.size(), zeros).ok());
  }
  ASSERT((*file)->sync_now().ok());
  uint64_t at = 0;
  for (const size_t bytes : {size_t{4096}, size_t{65536}, size_t{1048576}}) {
    const std::string_view piece = std::string_view(zeros).substr(0, bytes);
    bench.measure("plain overwrite + sync, " + std::to_string(bytes) + " B", 500,
                  static_cast<double>(bytes), [&](UniqueFunction<void(Status)> done) {
                    at = (at + bytes) % (15 * zeros.size());
                    (*file)->write(at, {piece}, env::Sync::kData, std::move(done));
                  });
  }
}

// Appends to `groups` groups, one entry each, and flushes; compacts what is old.
class Load {
 public:
  Load(wal::Wal& wal, uint32_t groups, size_t bytes)
      : wal_(wal), groups_(groups), payload_(Buffer::take(std::string(bytes, 'x'))) {}

  void round(uint32_t group_base, UniqueFunction<void(Status)> done) {
    ++index_;
    for (uint32_t g = 1; g <= groups_; ++g) {
      const wal::State state{Term(1), NodeId(1), Index(index_ - 1)};
      const wal::Record record{Index(index_), Term(1), 1,
                               Stamp::from_micros(static_cast<int64_t>(index_)), payload_};
      wal_.append(GroupId(group_base + g), &state, {&record, 1});
      if (index_ % 64 == 0) {
        wal_.compact(GroupId(group_base + g), Index(index_ - 32), Term(1));
      }
    }
    wal_.flush(std::move(done));
  }

 private:
  wal::Wal& wal_;
  uint32_t groups_;
  Buffer payload_;
  uint64_t index_ = 0;
};

void flushes(Bench& bench) {
  auto wal = bench.open_wal();
  bench.wait_for_spares();
  uint32_t base = 0;
  const auto measure = [&](const std::string& what, uint32_t groups, size_t bytes, int times) {
    Load load(*wal, groups, bytes);
    const uint32_t first = base;
    base += groups;
    bench.measure(what, times, static_cast<double>(groups * bytes),
                  [&](UniqueFunction<void(Status)> done) { load.round(first, std::move(done)); });
  };
  measure("flush of 1 group, 1 entry of 256 B", 1, 256, 1000);
  measure("flush of 12 groups, 1 entry of 4 KiB each", 12, 4096, 1000);
  measure("flush of 1 group, 1 entry of 1 MiB", 1, 1024 * 1024, 300);
  measure("flush of 4,096 groups, 1 entry of 128 B each", 4096, 128, 300);
  measure("flush of 1 group beside them", 1, 256, 1000);
}

void recovery(Bench& bench) {
  const uint64_t bytes = bench.log_bytes();
  const Instant begin = bench.now();
  const Duration cpu_before = cpu_used();
  const auto wal = bench.open_wal();
  const double seconds = micros(bench.now() - begin) / 1e6;
  const double cpu = micros(cpu_used() - cpu_before) / 1e6;
  const double megabytes = static_cast<double>(bytes) / 1e6;
  std::printf("recovery of %.0f MB in %.3f s, %.3f s of cpu: %.0f MB/s, %.0f by cpu\n", megabytes,
              seconds, cpu, megabytes / seconds, megabytes / cpu);
}

}  // namespace
}  // namespace quorate::bench

int main(int argc, char** argv) {
  const std::string root = std::string(argc > 1 ? argv[1] : ".") + "/quorate-wal-bench";
  std::filesystem::remove_all(root);
  std::filesystem::create_directories(root);
  {
    quorate::bench::Bench bench(root);
    quorate::bench::plain_writes(bench);
    quorate::bench::flushes(bench);
    quorate::bench::recovery(bench);
  }
  std::filesystem::remove_all(root);
  return 0;
}
