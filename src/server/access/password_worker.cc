// SPDX-License-Identifier: Apache-2.0
#include "server/access/password_worker.h"

#include "server/access/secrets.h"

namespace quorate::server {

PasswordWorker::~PasswordWorker() {
  *alive_ = false;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) {
    thread_.join();
  }
}

bool PasswordWorker::check(std::string password, std::string hash,
                           UniqueFunction<void(bool)> done) {
  return submit([password = std::move(password), hash = std::move(hash),
                 done = std::move(done)]() mutable -> UniqueFunction<void()> {
    const bool matches = password_matches(password, hash);
    return [matches, done = std::move(done)]() mutable { done(matches); };
  });
}

bool PasswordWorker::hash(std::string password, UniqueFunction<void(Result<std::string>)> done) {
  return submit(
      [password = std::move(password), done = std::move(done)]() mutable -> UniqueFunction<void()> {
        return [hash = hash_password(password), done = std::move(done)]() mutable {
          done(std::move(hash));
        };
      });
}

bool PasswordWorker::submit(Job job) {
  {
    const std::lock_guard lock(mutex_);
    if (jobs_.size() >= kQueueMax) {
      return false;
    }
    jobs_.push_back(std::move(job));
  }
  if (!thread_.joinable()) {
    thread_ = std::thread([this] { run(); });
  }
  wake_.notify_one();
  return true;
}

void PasswordWorker::run() {
  while (true) {
    Job job;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
      if (stopping_) {
        return;
      }
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    loop_.post([alive = alive_, answer = job()]() mutable {
      if (*alive) {
        answer();
      }
    });
  }
}

}  // namespace quorate::server
