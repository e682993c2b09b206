// SPDX-License-Identifier: Apache-2.0
// Pending: the answer to a call that is under way. Task: a coroutine that waits for such answers.
//
//   Task<int64_t> visit(Client& client, std::string page) {
//     auto count = co_await client.increment("visits:" + page);
//     co_return count.ok() ? *count : 0;
//   }
//   visit(client, "home").wait();                // or co_await it, or start() it
//
// wait() blocks its thread; co_await does not. What awaits goes on on the thread of the client that
// has the answer and must not block there: no wait() behind a co_await.
#pragma once

#include <condition_variable>
#include <coroutine>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "base/status.h"

namespace quorate {

template <class T>
class [[nodiscard]] Pending {
 public:
  // Where the answer will stand; whoever makes the call fills it, once.
  class Slot {
   public:
    void fill(Result<T> result) {
      std::coroutine_handle<> waiter;
      {
        const std::lock_guard lock(mutex_);
        result_.emplace(std::move(result));
        waiter = std::exchange(waiter_, nullptr);
        filled_.notify_all();
      }
      if (waiter) {
        waiter.resume();
      }
    }

   private:
    friend class Pending;
    std::mutex mutex_;
    std::condition_variable filled_;
    std::optional<Result<T>> result_;
    std::coroutine_handle<> waiter_;
  };

  explicit Pending(std::shared_ptr<Slot> slot) : slot_(std::move(slot)) {}

  [[nodiscard]] bool ready() const {
    const std::lock_guard lock(slot_->mutex_);
    return slot_->result_.has_value();
  }
  // The answer; blocks until it is there. Once; and not on the client's own thread.
  Result<T> wait() {
    std::unique_lock lock(slot_->mutex_);
    slot_->filled_.wait(lock, [this] { return slot_->result_.has_value(); });
    return std::move(*slot_->result_);
  }

  [[nodiscard]] bool await_ready() const { return ready(); }
  bool await_suspend(std::coroutine_handle<> waiter) {
    const std::lock_guard lock(slot_->mutex_);
    if (slot_->result_.has_value()) {
      return false;
    }
    slot_->waiter_ = waiter;
    return true;
  }
  Result<T> await_resume() {
    const std::lock_guard lock(slot_->mutex_);
    return std::move(*slot_->result_);
  }

 private:
  std::shared_ptr<Slot> slot_;
};

// Begins when it is awaited, waited for or started. An exception that leaves it ends the program.
template <class T = bool>
class [[nodiscard]] Task {
 public:
  class promise_type {
   public:
    Task get_return_object() { return Task(Handle::from_promise(*this)); }
    std::suspend_always initial_suspend() noexcept { return {}; }
    auto final_suspend() noexcept {
      struct Continue {
        bool await_ready() noexcept { return false; }
        std::coroutine_handle<> await_suspend(Handle handle) noexcept {
          return handle.promise().next_;
        }
        void await_resume() noexcept {}
      };
      return Continue{};
    }
    void return_value(T value) { value_.emplace(std::move(value)); }
    void unhandled_exception() { std::terminate(); }

   private:
    friend class Task;
    std::optional<T> value_;
    std::coroutine_handle<> next_ = std::noop_coroutine();
  };

  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&&) = delete;
  ~Task() {
    if (handle_) {
      handle_.destroy();
    }
  }

  [[nodiscard]] bool await_ready() const { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> next) {
    handle_.promise().next_ = next;
    return handle_;
  }
  T await_resume() { return std::move(*handle_.promise().value_); }

  // Goes as far as it can at once, and then on the threads of what it awaits. The answer is that
  // of the task.
  [[nodiscard]] Pending<T> start() && {
    auto slot = std::make_shared<typename Pending<T>::Slot>();
    run(std::move(*this), slot);
    return Pending<T>(slot);
  }
  T wait() && { return std::move(*this).start().wait().value(); }

 private:
  using Handle = std::coroutine_handle<promise_type>;
  // Owns itself: its frame goes when it ends.
  struct Detached {
    struct promise_type {
      Detached get_return_object() { return {}; }
      std::suspend_never initial_suspend() noexcept { return {}; }
      std::suspend_never final_suspend() noexcept { return {}; }
      void return_void() {}
      void unhandled_exception() { std::terminate(); }
    };
  };

  explicit Task(Handle handle) : handle_(handle) {}
  static Detached run(Task task, std::shared_ptr<typename Pending<T>::Slot> slot) {
    slot->fill(co_await task);
  }

  Handle handle_;
};

}  // namespace quorate
