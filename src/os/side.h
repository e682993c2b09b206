// SPDX-License-Identifier: Apache-2.0
// Side: a thread for rare work of a disk that would hold up the loop and that nobody waits for:
// freeing large files, writing files ahead. Jobs run one after the other, in order.
//
// The thread begins with the first job. The destructor waits for the jobs; what was to be done
// after them then never runs.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/function.h"
#include "base/status.h"
#include "os/loop.h"

namespace quorate::os {

class Side {
 public:
  using Job = UniqueFunction<Status()>;
  using Done = UniqueFunction<void(Status)>;

  explicit Side(Loop& loop) : loop_(loop) {}
  ~Side();
  Side(const Side&) = delete;
  Side& operator=(const Side&) = delete;

  // Called on the loop's thread, as is `done`.
  void run(Job job, Done done);

 private:
  struct Task {
    Job job;
    Done done;
  };

  void begin();
  void work();

  Loop& loop_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::thread thread_;
  std::mutex mutex_;  // guards what stands below
  std::condition_variable wake_;
  std::vector<Task> tasks_;
  bool ends_ = false;
};

}  // namespace quorate::os
