// SPDX-License-Identifier: Apache-2.0
// One node, a process with its own log, and a client that reads and writes at even distances over
// connections of its own. A pause is the longest wait of a probe beyond the longest of a time of
// equal length in which everything else was the same, for disks and schedulers have pauses too.
// Writes wait for the disk, reads do not; both are told, and the worse one is judged.
//
// The longest of some thousand waits is mostly chance: on a virtual machine two seconds without a
// snapshot differ from the two before by several milliseconds, either way. So a snapshot is looked
// at several times, each time beside the seconds before it, and the medians are compared: a pause
// that half of the snapshots have is seen whole. And what the machine itself stood still
// (standstills.h) is taken off every wait, with a snapshot and without.
#include "bench/kv.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "bench/clients/prober.h"
#include "bench/peers.h"
#include "os/clock.h"

namespace quorate::bench {
namespace {

namespace fs = std::filesystem;

constexpr uint16_t kPortOfExpiry = 17'900;
constexpr uint16_t kPortOfSnapshot = 17'920;
constexpr size_t kKeys = 1'000'000;
constexpr size_t kLoaders = 2;
// Of the keys that end: all within this, which leaves a second of the ten for those that are late.
constexpr Duration kEndsWithin = Duration::seconds(9);
// From the first key on: time to store them all, and to look at the node at rest.
constexpr Duration kStoredWithin = Duration::seconds(30);
// The first of them may be gone in the moment in which it is due.
constexpr Duration kCountedBefore = Duration::millis(200);
// Writes beside a snapshot: they make the log grow, which is what it is made for.
constexpr size_t kWritesAtOnce = 100;
constexpr Duration kWritesPause = Duration::millis(2);
constexpr Duration kSnapshotsWithin = Duration::seconds(45);
constexpr size_t kSnapshots = 7;
// One for each so much of the log, in place of as much as the state: a few seconds apart.
constexpr const char* kLogOfSnapshot = "36MiB";
// After the keys were stored, until what that left behind is done.
constexpr Duration kSettles = Duration::seconds(4);
// What it replaces, an older snapshot and a part of the log, goes after it, and belongs to it: the
// disk gives it back in pieces.
constexpr Duration kReleasedWithin = Duration::seconds(1);

std::string key_of(size_t number) {
  char key[32];
  std::snprintf(key, sizeof(key), "key:%012zu", number);
  return key;
}

bool store_all(uint16_t port, const std::function<std::string(size_t)>& command) {
  std::vector<std::thread> loaders;
  std::vector<char> well(kLoaders, 0);
  for (size_t n = 0; n < kLoaders; ++n) {
    loaders.emplace_back([&, n] {
      well[n] = store_many(port, kKeys * n / kLoaders, kKeys * (n + 1) / kLoaders, command) ? 1 : 0;
    });
  }
  for (std::thread& loader : loaders) {
    loader.join();
  }
  return std::count(well.begin(), well.end(), 1) == static_cast<long>(kLoaders);
}

void sleep_for(Duration time) {
  std::this_thread::sleep_for(std::chrono::nanoseconds(std::max<int64_t>(time.nanos(), 0)));
}

double millis(Duration time) { return static_cast<double>(time.nanos()) / 1e6; }

std::string told(const char* when, const Seen& seen) {
  char text[160];
  std::snprintf(
      text, sizeof(text), "%s: longest read %.2f ms, write %.2f ms, p99.9 %.2f ms of %zu probes",
      when, millis(seen.longest_read), millis(seen.longest_write), millis(seen.p999), seen.probes);
  return text;
}

// The longest wait of `with` beyond that of `without`, for reads or writes, whichever is worse.
double pause_ms(const Seen& with, const Seen& without) {
  return std::max({millis(with.longest_read - without.longest_read),
                   millis(with.longest_write - without.longest_write), 0.0});
}

// ---- a million keys end within ten seconds ------------------------------------------------------

class ExpiryPause {
 public:
  ExpiryPause(Report& report, std::string only, const std::string& directory)
      : report_(report), only_(std::move(only)), node_(directory, kPortOfExpiry, 1) {}

  void run() {
    const Instant begin = clock_.now();
    const Instant first_end = begin + kStoredWithin;
    const int64_t first_end_ms = (clock_.wall() + kStoredWithin).millis();
    const bool stored = store_all(node_.port(), [first_end_ms](size_t number) {
      const auto later = static_cast<int64_t>(number) * kEndsWithin.millis() / kKeys;
      return command_of({"SET", key_of(number), std::string(100, 'v'), "PXAT",
                         std::to_string(first_end_ms + later)});
    });
    const Instant all_stored = clock_.now();
    if (!stored || all_stored + kEndsWithin > first_end) {
      fail("the keys were not stored in time");
      return;
    }
    Prober prober(node_.port(), {});
    sleep_for(first_end - kCountedBefore - clock_.now());
    const int64_t before = keys();
    const std::optional<Instant> gone = wait_until_gone(first_end);
    prober.stop();
    if (before < static_cast<int64_t>(kKeys)) {
      fail("some keys were not there before the first was due");
      return;
    }
    if (!gone || prober.failed() > 0) {
      fail(gone ? "probes failed" : "keys were left");
      return;
    }
    tell(prober.seen(first_end - kEndsWithin, first_end), prober.seen(first_end, *gone),
         *gone - first_end);
  }

 private:
  [[nodiscard]] bool is_wanted(const char* id) const { return only_.empty() || only_ == id; }
  [[nodiscard]] int64_t keys() const { return ask_number(node_.port(), command_of({"DBSIZE"})); }

  // Only what was probed and what made the node ready is left.
  std::optional<Instant> wait_until_gone(Instant first_end) const {
    while (clock_.now() < first_end + kEndsWithin * 2) {
      sleep_for(Duration::millis(50));
      if (keys() <= 2) {
        return clock_.now();
      }
    }
    return std::nullopt;
  }

  void fail(const char* why) {
    report_.add({"kv_expiry_pause", "a million keys end: pause seen by a client", 9'999, "ms", 5,
                 Better::kLower, why});
  }

  void tell(const Seen& before, const Seen& during, Duration took) {
    if (is_wanted("kv_expiry_seen")) {
      char note[120];
      std::snprintf(note, sizeof(note), "%zu keys due within %.1f s were gone after %.2f s", kKeys,
                    millis(kEndsWithin) / 1e3, millis(took) / 1e3);
      report_.add({"kv_expiry_seen", "a million keys end on one node: rate seen by a client",
                   static_cast<double>(kKeys) / (millis(took) / 1e3), "keys/s", 100'000,
                   Better::kHigher, note});
    }
    if (is_wanted("kv_expiry_pause")) {
      report_.add({"kv_expiry_pause", "a million keys end: pause seen by a client",
                   pause_ms(during, before), "ms", 5, Better::kLower,
                   told("while they end", during) + "; " + told("before", before)});
    }
  }

  Report& report_;
  const std::string only_;
  const os::Clock clock_;
  const QuorateStore node_;
};

// ---- a snapshot of a million keys ---------------------------------------------------------------

// A writer that makes the log grow until snapshots have been made.
class SnapshotPause {
 public:
  SnapshotPause(Report& report, const std::string& directory)
      : report_(report),
        snapshots_(directory + "/1/snapshots"),
        node_(directory, kPortOfSnapshot, 1,
              {"--cluster-groups", "1", "--storage-snapshot-log-bytes", kLogOfSnapshot,
               "--storage-snapshot-state-percent", "0"}) {}

  void run() {
    if (!store_all(node_.port(), put_of)) {
      fail("the keys were not stored");
      return;
    }
    std::atomic<bool> ends = false;
    std::atomic<size_t> written = 0;
    std::thread writer([&] { write_on(ends, written); });
    Prober prober(node_.port(), {});
    const std::vector<Span> made = watch_snapshots();
    ends = true;
    writer.join();
    prober.stop();
    standstills_.stop();
    if (made.empty() || prober.failed() > 0) {
      fail("no snapshot was made, or probes failed");
      return;
    }
    tell(prober, made, written);
  }

 private:
  struct Span {
    Instant begin;
    Instant end;
  };

  static std::string put_of(size_t number) {
    return command_of({"SET", key_of(number % kKeys), std::string(100, 'v')});
  }

  void write_on(const std::atomic<bool>& ends, std::atomic<size_t>& written) const {
    Instant next = clock_.now();
    for (size_t number = 0; !ends; number += kWritesAtOnce) {
      // Keys all over the table, so that many have to be set aside for the image.
      const bool well = store_many(node_.port(), number, number + kWritesAtOnce,
                                   [](size_t at) { return put_of(at * 7'919); });
      written += well ? kWritesAtOnce : 0;
      next = next + kWritesPause;
      sleep_for(next - clock_.now());
    }
  }

  [[nodiscard]] bool is_being_made() const {
    std::error_code error;
    for (const fs::directory_entry& entry : fs::directory_iterator(snapshots_, error)) {
      if (entry.path().extension() == ".new") {
        return true;
      }
    }
    return false;
  }

  // Those that began while it looked; the file's name tells that one is under way.
  [[nodiscard]] std::vector<Span> watch_snapshots() const {
    const Instant begin = clock_.now();
    std::vector<Span> made;
    std::optional<Instant> since;
    bool idle = false;
    while (made.size() < kSnapshots && clock_.now() < begin + kSnapshotsWithin) {
      const bool now_made = is_being_made();
      const Instant now = clock_.now();
      if (now_made && idle && !since) {
        since = now;
      } else if (!now_made && since) {
        made.push_back({*since, now + kReleasedWithin});
        since.reset();
      }
      idle = idle || (!now_made && now > begin + kSettles);
      sleep_for(Duration::millis(2));
    }
    sleep_for(kReleasedWithin * 2);
    return made;
  }

  void fail(const char* why) {
    report_.add({"kv_snapshot_pause", kWhat, 9'999, "ms", 1, Better::kLower, why});
  }

  // The middle of each of `seen`.
  static Seen middle_of(const std::vector<Seen>& seen) {
    const auto middle = [&seen](Duration Seen::*part) {
      std::vector<Duration> parts;
      for (const Seen& each : seen) {
        parts.push_back(each.*part);
      }
      std::sort(parts.begin(), parts.end());
      return (parts[(parts.size() - 1) / 2] + parts[parts.size() / 2]) / 2;
    };
    Seen result = seen.front();
    result.longest_read = middle(&Seen::longest_read);
    result.longest_write = middle(&Seen::longest_write);
    result.p999 = middle(&Seen::p999);
    return result;
  }

  // Of all snapshots, and of the times before them, less what is in `standstills`, if anything.
  static std::pair<Seen, Seen> compare(const Prober& prober, const std::vector<Span>& made,
                                       const Standstills* standstills) {
    std::vector<Seen> with;
    std::vector<Seen> without;
    for (const Span& span : made) {
      const Duration length = span.end - span.begin;
      with.push_back(prober.seen(span.begin, span.end, standstills));
      without.push_back(prober.seen(span.begin - length, span.begin, standstills));
    }
    return {middle_of(with), middle_of(without)};
  }

  void tell(const Prober& prober, const std::vector<Span>& made, size_t written) {
    const Standstills* const standstills = standstills_.watched() ? &standstills_ : nullptr;
    Duration took;
    for (const Span& span : made) {
      took = took + (span.end - span.begin);
    }
    const auto [during, before] = compare(prober, made, standstills);
    const auto [during_raw, before_raw] = compare(prober, made, nullptr);
    char note[240];
    std::snprintf(note, sizeof(note),
                  "medians of %zu, %.2f s each, beside %zu SETs that were written meanwhile; "
                  "%.2f ms with what the machine stood still; ",
                  made.size(), millis(took) / 1e3 / static_cast<double>(made.size()), written,
                  pause_ms(during_raw, before_raw));
    report_.add({"kv_snapshot_pause", kWhat, pause_ms(during, before), "ms", 1, Better::kLower,
                 note + told("while it is made", during) + "; " + told("before", before)});
  }

  static constexpr const char* kWhat = "a snapshot of a million keys: pause seen by a client";

  Report& report_;
  const os::Clock clock_;
  const fs::path snapshots_;
  const QuorateStore node_;
  Standstills standstills_;
};

}  // namespace

void run_kv_pauses(Report& report, const Arguments& arguments, const std::string& directory) {
  const auto is_wanted = [&arguments](const char* id) {
    return arguments.only.empty() ? !arguments.quick : arguments.only == id;
  };
  if (is_wanted("kv_expiry_pause") || is_wanted("kv_expiry_seen")) {
    ExpiryPause(report, arguments.only, directory + "/expiry").run();
  }
  if (is_wanted("kv_snapshot_pause")) {
    SnapshotPause(report, directory + "/snapshot").run();
  }
}

}  // namespace quorate::bench
