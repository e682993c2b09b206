// SPDX-License-Identifier: Apache-2.0
// Request: one call of a client on its way, over all its tries.
#pragma once

#include <chrono>
#include <cstdint>
#include <list>
#include <memory>
#include <string>

#include "base/function.h"
#include "clients/cpp/wire/reply.h"

namespace quorate::wire {

using Time = std::chrono::steady_clock::time_point;

struct Request {
  enum class Again : uint8_t {
    kFreely,     // it reads, or carries the id by which a cluster knows it again
    kIfNotDone,  // it might be done twice
  };

  std::string bytes;
  int slot = -1;  // of its key; none: any node
  Again again = Again::kFreely;
  bool writes = false;
  Time deadline;
  UniqueFunction<void(Parsed)> done;  // empty once it was called

  // ---- the state of its tries
  int tries = 0;
  bool reached = false;  // some node may have had it
  Time next_try;
  std::list<std::shared_ptr<Request>>::iterator place;  // among all that are under way
};
using RequestRef = std::shared_ptr<Request>;

}  // namespace quorate::wire
