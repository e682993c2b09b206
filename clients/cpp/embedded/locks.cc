// SPDX-License-Identifier: Apache-2.0
#include "quorate/locks.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <future>
#include <mutex>
#include <random>
#include <thread>

#include "service/lock/api.h"

namespace quorate {

namespace lock = service::lock;

namespace {

using Clock = std::chrono::steady_clock;

std::chrono::nanoseconds nanos(Duration duration) {
  return std::chrono::nanoseconds(duration.nanos());
}

// Between two looks of who waits at a barrier.
constexpr std::chrono::milliseconds kPauseMost(50);

std::string new_owner() {
  std::random_device random;
  return "embedded:" + std::to_string(getpid()) + ":" + std::to_string(random());
}

}  // namespace

struct LockSession::State {
  State(Database& the_database, LockSessionOptions the_options)
      : database(the_database), options(std::move(the_options)) {}
  ~State() { stop(); }

  // Nobody is told of what ends now.
  void stop() {
    {
      const std::lock_guard guard(mutex);
      ends = true;
    }
    wake.notify_all();
    if (keeper.joinable()) {
      keeper.join();
    }
  }

  [[nodiscard]] lock::OwnerRef who() const {
    return {lock::DomainId(options.domain), options.owner};
  }

  // Proposes or asks on the node's thread and waits for the answer, which `take` turns into T while
  // its views are good.
  template <class T, class Answered, class Take>
  Result<T> write(const lock::Command& command, Take take) {
    if (const Status status = lock::validate(command); !status.ok()) {
      return status;
    }
    std::promise<Result<T>> promise;
    database.run_with_locks([&](lock::Api& api) {
      api.write(lock::DomainId(options.domain), command, {},
                [&promise, take](const lock::Answer& answer, const service::Origin&) {
                  promise.set_value(taken<T, Answered>(answer, take));
                });
    });
    return promise.get_future().get();
  }
  template <class T, class Answered, class Take>
  Result<T> read(const lock::Query& query, Take take) {
    std::promise<Result<T>> promise;
    database.run_with_locks([&](lock::Api& api) {
      api.read(lock::DomainId(options.domain), query, {},
               [&promise, take](const lock::Answer& answer, const service::Origin&) {
                 promise.set_value(taken<T, Answered>(answer, take));
               });
    });
    return promise.get_future().get();
  }
  template <class T, class Answered, class Take>
  static Result<T> taken(const lock::Answer& answer, Take take) {
    if (const auto* const fields = std::get_if<Answered>(&answer)) {
      return take(*fields);
    }
    const Status* const refusal = std::get_if<Status>(&answer);
    return refusal != nullptr ? *refusal : Status(Code::kCorrupted, "another verb's answer");
  }

  // The token of an Acquire or an Upgrade.
  Result<uint64_t> wait(const lock::Command& command) {
    if (const Status status = lock::validate(command); !status.ok()) {
      return status;
    }
    std::promise<Result<uint64_t>> promise;
    database.run_with_locks([&](lock::Api& api) {
      api.wait(
          who(), command, {},
          [&promise](const Status& status, const lock::Acquired& acquired, const service::Origin&) {
            promise.set_value(status.ok() ? Result<uint64_t>(acquired.token.value())
                                          : Result<uint64_t>(status));
          });
    });
    return promise.get_future().get();
  }

  [[nodiscard]] bool is_lost() const { return lost || Clock::now() >= good_until.load(); }

  Status open() {
    const Clock::time_point sent = Clock::now();
    const Result<bool> opened = write<bool, lock::Owned>(lock::Open{who(), options.lease},
                                                         [](const lock::Owned&) { return true; });
    RETURN_IF_ERROR(opened);
    good_until = sent + nanos(options.lease);
    keeper = std::thread([this] { keep(); });
    return Status::success();
  }

  // Thrice per lease; sooner when it fails. Good for so long after the moment before a renewal that
  // succeeded was sent, whatever happened to its answer. Once it has run out it stays so: an answer
  // that comes later may speak of an owner that this session's own acquire made anew.
  void keep() {
    std::unique_lock guard(mutex);
    auto pause = nanos(options.lease) / 3;
    while (!wake.wait_for(guard, pause, [this] { return ends; })) {
      guard.unlock();
      const Clock::time_point sent = Clock::now();
      const Result<bool> renewed =
          write<bool, lock::Owned>(lock::Renew{who()}, [](const lock::Owned&) { return true; });
      const bool is_over = renewed.status().code() == Code::kLeaseLost || is_lost();
      if (renewed.ok() && !is_over) {
        good_until = sent + nanos(options.lease);
      }
      pause = nanos(options.lease) / (renewed.ok() ? 3 : 20);
      if (is_over) {
        lost = true;
        if (options.on_lost) {
          options.on_lost();
        }
        return;
      }
      guard.lock();
    }
  }

  Database& database;
  LockSessionOptions options;
  std::atomic<Clock::time_point> good_until = Clock::time_point();
  std::atomic<bool> lost = false;
  std::mutex mutex;
  std::condition_variable wake;
  bool ends = false;  // guarded by mutex
  std::thread keeper;
};

Held& Held::operator=(Held&& other) noexcept {
  if (this != &other) {
    release();
    session_ = std::exchange(other.session_, nullptr);
    names_ = std::move(other.names_);
    count_ = other.count_;
    token_ = std::exchange(other.token_, 0);
  }
  return *this;
}

Fence Held::fence() const {
  return session_ == nullptr ? Fence() : Fence{names_.front(), token_, session_->domain()};
}

bool Held::lost() const { return session_ != nullptr && session_->lost(); }

void Held::release() {
  if (session_ != nullptr) {
    for (const std::string& name : names_) {
      session_->release(name, count_);
    }
  }
  session_ = nullptr;
  token_ = 0;
}

LockSession::LockSession(std::unique_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<LockSession>> LockSession::open(Database& database,
                                                       LockSessionOptions options) {
  if (options.owner.empty()) {
    options.owner = new_owner();
  }
  auto state = std::make_unique<State>(database, std::move(options));
  RETURN_IF_ERROR(state->open());
  return std::unique_ptr<LockSession>(new LockSession(std::move(state)));
}

LockSession::~LockSession() {
  state_->stop();
  (void)state_->write<bool, lock::Closed>(lock::Close{state_->who()},
                                          [](const lock::Closed&) { return true; });
}

Result<Held> LockSession::acquire(std::string name, LockOptions options) {
  return acquire_many({std::move(name)}, options);
}

Result<Held> LockSession::acquire_many(std::vector<std::string> names, LockOptions options) {
  lock::Acquire acquire{.who = state_->who(), .wait = options.wait};
  for (const std::string& name : names) {
    acquire.items.push_back(
        {.name = name, .mode = options.shared ? lock::Mode::kShared : lock::Mode::kExclusive});
  }
  const Result<uint64_t> token = state_->wait(acquire);
  RETURN_IF_ERROR(token);
  Held held;
  held.session_ = this;
  held.names_ = std::move(names);
  held.token_ = *token;
  return held;
}

Result<Held> LockSession::acquire_permits(std::string name, Permits permits, LockOptions options) {
  lock::Acquire acquire{.who = state_->who(), .wait = options.wait};
  acquire.items = {{.name = name,
                    .mode = lock::Mode::kPermits,
                    .permits = permits.count,
                    .limit = permits.limit}};
  const Result<uint64_t> token = state_->wait(acquire);
  RETURN_IF_ERROR(token);
  Held held;
  held.session_ = this;
  held.names_ = {std::move(name)};
  held.count_ = permits.count;
  held.token_ = *token;
  return held;
}

Result<uint64_t> LockSession::upgrade(const std::string& name, Duration wait) {
  return state_->wait(lock::Upgrade{state_->who(), name, wait});
}

Result<uint64_t> LockSession::downgrade(const std::string& name) {
  return state_->write<uint64_t, lock::Acquired>(
      lock::Downgrade{state_->who(), name},
      [](const lock::Acquired& acquired) { return acquired.token.value(); });
}

Result<std::pair<std::string, uint64_t>> LockSession::holder(const std::string& name) {
  using Found = std::pair<std::string, uint64_t>;
  const auto first = [](const lock::LockDetails& details) -> Result<Found> {
    if (details.holders.empty()) {
      return Status(Code::kNotFound, "nobody holds it");
    }
    return Found(details.holders.front().owner, details.holders.front().token.value());
  };
  return state_->read<Found, lock::LockDetails>(
      lock::Info{lock::DomainId(state_->options.domain), name}, first);
}

const std::string& LockSession::owner() const { return state_->options.owner; }
uint32_t LockSession::domain() const { return state_->options.domain; }
bool LockSession::lost() const { return state_->is_lost(); }

// Of a lost lock nothing is left to give back.
void LockSession::release(const std::string& name, uint64_t count) {
  (void)state_->write<uint64_t, lock::Released>(
      lock::Release{.who = state_->who(), .name = name, .count = count},
      [](const lock::Released& released) { return released.left; });
}

Result<uint64_t> Election::campaign(Duration wait) {
  Result<Held> held = session_.acquire(name_, {false, wait});
  RETURN_IF_ERROR(held);
  held_ = std::move(*held);
  return held_.token();
}

Result<uint32_t> Barrier::wait(Duration timeout) {
  const Clock::time_point end = Clock::now() + nanos(timeout);
  const Result<int64_t> came = database_.increment(key_);
  RETURN_IF_ERROR(came);
  const int64_t number = (*came - 1) % parties_;
  const int64_t full = *came - number - 1 + parties_;
  for (auto pause = std::chrono::milliseconds(1);; pause = std::min(pause * 2, kPauseMost)) {
    const Result<Entry> entry = database_.get(key_);
    RETURN_IF_ERROR(entry);
    if (std::strtoll(entry->value.c_str(), nullptr, 10) >= full) {
      return static_cast<uint32_t>(number);
    }
    if (Clock::now() >= end) {
      return Status(Code::kTimeout, "the others have not come");
    }
    std::this_thread::sleep_for(pause);
  }
}

}  // namespace quorate
