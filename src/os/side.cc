// SPDX-License-Identifier: Apache-2.0
#include "os/side.h"

#include <pthread.h>
#include <signal.h>

#include <utility>

namespace quorate::os {

Side::~Side() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) {
    thread_.join();
  }
}

void Side::run(Job job, Done done) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back({std::move(job), std::move(done)});
  }
  wake_.notify_one();
  if (!thread_.joinable()) {
    begin();
  }
}

// Signals are the loop's: the thread is born with all of them blocked.
void Side::begin() {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { work(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Side::work() {
  std::unique_lock lock(mutex_);
  while (!ends_ || !tasks_.empty()) {
    std::vector<Task> now = std::exchange(tasks_, {});
    lock.unlock();
    for (Task& task : now) {
      Status status = task.job();
      if (task.done) {
        loop_.post([alive = std::weak_ptr<bool>(alive_), done = std::move(task.done),
                    status = std::move(status)]() mutable {
          if (!alive.expired()) {
            done(std::move(status));
          }
        });
      }
    }
    now.clear();
    lock.lock();
    wake_.wait(lock, [this] { return ends_ || !tasks_.empty(); });
  }
}

}  // namespace quorate::os
