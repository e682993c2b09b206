// SPDX-License-Identifier: Apache-2.0
// Door: the verbs of locks as one owner has them, wherever the cluster is: in this process, or in
// others. What is built of them (session.cc) is the same for both.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "base/time.h"

namespace quorate::locks {

struct Item {
  enum class Mode : uint8_t { kExclusive, kShared, kPermits };

  std::string name;
  Mode mode = Mode::kExclusive;
  uint64_t permits = 0;  // of a semaphore
  uint64_t limit = 0;
};

// renew() may be called while another call is under way, on another thread; the others may not.
class Door {
 public:
  virtual ~Door() = default;
  [[nodiscard]] virtual Status open(Duration lease) = 0;
  [[nodiscard]] virtual Status renew() = 0;
  virtual void close() = 0;
  // The token. kTimeout if it does not become free in time, kPreconditionFailed if no wait was
  // wanted.
  [[nodiscard]] virtual Result<uint64_t> acquire(const std::vector<Item>& items, Duration wait) = 0;
  [[nodiscard]] virtual Result<uint64_t> upgrade(const std::string& name, Duration wait) = 0;
  [[nodiscard]] virtual Result<uint64_t> downgrade(const std::string& name) = 0;
  virtual void release(const std::string& name, uint64_t count) = 0;
  [[nodiscard]] virtual Result<std::pair<std::string, uint64_t>> holder(
      const std::string& name) = 0;
};

}  // namespace quorate::locks
