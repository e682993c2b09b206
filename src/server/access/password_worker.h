// SPDX-License-Identifier: Apache-2.0
// PasswordWorker: hashes and checks passwords on a thread of its own, because that is slow on
// purpose and the loop must not wait. Answers come back on the loop, in order.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/function.h"
#include "base/status.h"
#include "os/loop.h"

namespace quorate::server {

class PasswordWorker {
 public:
  // More that wait are refused: somebody is guessing.
  static constexpr size_t kQueueMax = 64;

  // The loop must outlive it.
  explicit PasswordWorker(os::Loop& loop) : loop_(loop) {}
  ~PasswordWorker();
  PasswordWorker(const PasswordWorker&) = delete;
  PasswordWorker& operator=(const PasswordWorker&) = delete;

  // False, and `done` is dropped, if too many wait.
  [[nodiscard]] bool check(std::string password, std::string hash, UniqueFunction<void(bool)> done);
  [[nodiscard]] bool hash(std::string password, UniqueFunction<void(Result<std::string>)> done);

 private:
  using Job = UniqueFunction<UniqueFunction<void()>()>;  // on the thread; its result on the loop

  [[nodiscard]] bool submit(Job job);
  void run();

  os::Loop& loop_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // used on the loop only
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> jobs_;  // under the mutex, as is the next
  bool stopping_ = false;
  std::thread thread_;  // begun by the first job
};

}  // namespace quorate::server
