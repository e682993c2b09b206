// SPDX-License-Identifier: Apache-2.0
// Signals: a signal to the process becomes a callback on a loop, where anything may be done.
// One object per signal number and process. Writing to a closed socket is an error code here, so
// ignore_broken_pipes() belongs at the start of main().
#pragma once

#include <initializer_list>
#include <memory>

#include "base/function.h"
#include "os/loop.h"

namespace quorate::os {

class Signals {
 public:
  using Callback = UniqueFunction<void(int signal)>;

  // Calls back for each of `signals` (SIGTERM, SIGINT) until destroyed.
  Signals(Loop& loop, std::initializer_list<int> signals, Callback callback);
  ~Signals();

 private:
  struct Watch;
  std::shared_ptr<Watch> watch_;
};

void ignore_broken_pipes();

}  // namespace quorate::os
