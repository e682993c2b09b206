// SPDX-License-Identifier: Apache-2.0
// Load on locks: clients over real sockets that each take a lock, give it back, and go on, looked
// after by one thread. It also plays the resource that the locks guard: who is inside, and whether
// somebody came in who should not.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/histogram.h"

namespace quorate::bench {

enum class LockProtocol { kHttp, kResp };

struct LockLoadOptions {
  LockProtocol protocol = LockProtocol::kResp;
  std::vector<uint16_t> ports;  // clients are spread over them, and move on if one is lost
  uint32_t clients = 100;
  uint32_t resources = 50;
  uint32_t shared_percent = 60;
  bool own_resource = false;  // client i takes resource i and no other
  double seconds = 3;
  std::string name = "bench";  // of the resources and owners
  // Called every few milliseconds with the seconds that have passed; for what is done to the
  // servers meanwhile.
  std::function<void(double)> meanwhile = {};
};

struct LockLoadResult {
  uint64_t operations = 0;  // acquires and releases that were answered
  uint64_t grants = 0;
  uint64_t errors = 0;     // of any kind but a lost connection
  uint64_t deadlocks = 0;  // there can be none
  uint64_t lost = 0;       // connections
  uint64_t double_holders = 0;
  double seconds = 0;
  double longest_gap_ms = 0;  // between two grants
  std::string first_error;
  Histogram operation;  // ns from the request to its answer
  Histogram acquire;
  Histogram release;
  Histogram hand_over;  // from the release that was sent to the waiter's grant
  [[nodiscard]] double per_second() const { return static_cast<double>(operations) / seconds; }
};

[[nodiscard]] LockLoadResult run_lock_load(const LockLoadOptions& options);

// One blocking connection, for stories. A line of words, and the first line of the answer; empty if
// the connection is lost.
class LockCaller {
 public:
  explicit LockCaller(uint16_t port);
  ~LockCaller();
  LockCaller(const LockCaller&) = delete;
  LockCaller& operator=(const LockCaller&) = delete;
  void send(const std::string& line) const;
  [[nodiscard]] std::string hear();
  [[nodiscard]] std::string ask(const std::string& line) {
    send(line);
    return hear();
  }

 private:
  int descriptor_ = -1;
  std::string heard_;
};

}  // namespace quorate::bench
