// SPDX-License-Identifier: Apache-2.0
// Test support: a log on a faulty disk, with short words for what tests do to it.
#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "base/prng.h"
#include "wal/faulty_disk_test.h"
#include "wal/manual_loop_test.h"
#include "wal/wal.h"

namespace quorate::wal {

// "x*100" for a hundred times the same byte, for readable failures.
inline std::string shown(std::string_view payload) {
  const bool same =
      payload.find_first_not_of(payload.empty() ? ' ' : payload[0]) == std::string_view::npos;
  return same && payload.size() > 8
             ? std::string(1, payload[0]) + "*" + std::to_string(payload.size())
             : std::string(payload);
}

struct LogFixture {
  ManualLoop loop;
  FaultyDisk disk{loop};
  Prng prng{1};
  Options options;
  std::unique_ptr<Wal> wal;
  std::vector<RecoveredGroup> groups;
  std::string notes;
  bool groups_unknown = false;
  Status opened;

  LogFixture() {
    options.segment_bytes = 64 * 1024;
    open();
  }
  void open() {
    auto result = Wal::open(disk, loop, loop, options);
    opened = result.status();
    groups.clear();
    notes.clear();
    if (result.ok()) {
      wal = std::move(result->wal);
      groups = std::move(result->groups);
      groups_unknown = result->groups_unknown;
      for (const std::string& note : result->notes) {
        notes += note + "\n";
      }
    }
  }
  void crash(Crash mode) {
    wal.reset();
    loop.forget();
    disk.crash(mode, prng);
  }
  void restart(Crash mode = Crash::kLose) {
    crash(mode);
    open();
  }
  void append(uint32_t group, uint64_t first, const std::vector<std::string>& payloads,
              uint64_t term = 1, const std::vector<uint8_t>& kinds = {}) {
    std::vector<Record> records;
    for (size_t i = 0; i < payloads.size(); ++i) {
      records.push_back({Index(first + i), Term(term), i < kinds.size() ? kinds[i] : uint8_t{1},
                         Stamp::from_micros(static_cast<int64_t>(first + i)),
                         Buffer::copy(payloads[i])});
    }
    wal->append(GroupId(group), nullptr, records);
  }
  void state(uint32_t group, const State& state) { wal->append(GroupId(group), &state, {}); }
  Status flush() {
    Status result{Code::kInternal, "never called back"};
    wal->flush([&](Status status) { result = std::move(status); });
    loop.run();
    return result;
  }
  // Long enough for the log to note what is durable.
  void mark() { loop.advance(Duration::seconds(1)); }
  [[nodiscard]] const RecoveredGroup* group(uint32_t id) const {
    for (const RecoveredGroup& each : groups) {
      if (each.group == GroupId(id)) {
        return &each;
      }
    }
    return nullptr;
  }
  // "1:a 2:? 3:c": all entries of the group, a hole as "?".
  [[nodiscard]] std::string contents(uint32_t id) {
    std::string text;
    uint64_t at = 1;
    int after_end = 0;
    while (after_end == 0) {
      const auto records = wal->read(GroupId(id), Index(at), Index(UINT64_MAX - 1), 1 << 30);
      if (records.ok()) {
        for (const Record& record : *records) {
          text += (text.empty() ? "" : " ") + std::to_string(record.index.value()) + ":" +
                  shown(record.payload.view());
        }
        at += records->size();
      } else if (records.status().code() == Code::kCorrupted) {
        text += (text.empty() ? "" : " ") + std::to_string(at++) + ":?";
      } else if (records.status().code() == Code::kNotFound && text.empty() && at < 100'000) {
        ++at;
      } else {
        after_end = 1;
      }
    }
    return text;
  }
};

}  // namespace quorate::wal
