// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "clients/cpp/locks/state.h"

namespace quorate {
namespace {

using Clock = std::chrono::steady_clock;

std::chrono::nanoseconds nanos(Duration duration) {
  return std::chrono::nanoseconds(duration.nanos());
}

// Between two looks of who waits at a barrier.
constexpr std::chrono::milliseconds kPauseMost(50);

}  // namespace

// ---- its life -----------------------------------------------------------------------------------

Result<std::unique_ptr<LockSession>> LockSession::State::open(std::unique_ptr<State> state) {
  const Clock::time_point sent = Clock::now();
  RETURN_IF_ERROR(state->door->open(state->options.lease));
  state->good_until = sent + nanos(state->options.lease);
  state->keeper = std::thread([at = state.get()] { at->keep(); });
  return std::unique_ptr<LockSession>(new LockSession(std::move(state)));
}

void LockSession::State::stop() {
  {
    const std::lock_guard guard(mutex);
    ends = true;
  }
  wake.notify_all();
  if (keeper.joinable()) {
    keeper.join();
  }
}

// Thrice per lease; sooner when it fails. Good for so long after the moment before a renewal that
// succeeded was sent, whatever happened to its answer. Once it has run out it stays so: an answer
// that comes later may speak of an owner that this session's own acquire made anew.
void LockSession::State::keep() {
  std::unique_lock guard(mutex);
  auto pause = nanos(options.lease) / 3;
  while (!wake.wait_for(guard, pause, [this] { return ends; })) {
    guard.unlock();
    const Clock::time_point sent = Clock::now();
    const Status renewed = door->renew();
    const bool is_over = renewed.code() == Code::kLeaseLost || is_lost();
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

LockSession::LockSession(std::unique_ptr<State> state) : state_(std::move(state)) {}

LockSession::~LockSession() {
  state_->stop();
  state_->door->close();
}

const std::string& LockSession::owner() const { return state_->options.owner; }
uint32_t LockSession::domain() const { return state_->options.domain; }
bool LockSession::lost() const { return state_->is_lost(); }

// ---- locks --------------------------------------------------------------------------------------

Result<Held> LockSession::acquire(std::string name, LockOptions options) {
  return acquire_many({std::move(name)}, options);
}

Result<Held> LockSession::acquire_many(std::vector<std::string> names, LockOptions options) {
  using Mode = locks::Item::Mode;
  std::vector<locks::Item> items;
  for (const std::string& name : names) {
    items.push_back({.name = name, .mode = options.shared ? Mode::kShared : Mode::kExclusive});
  }
  const Result<uint64_t> token = state_->door->acquire(items, options.wait);
  RETURN_IF_ERROR(token);
  Held held;
  held.session_ = this;
  held.names_ = std::move(names);
  held.token_ = *token;
  return held;
}

Result<Held> LockSession::acquire_permits(std::string name, Permits permits, LockOptions options) {
  const locks::Item item = {.name = name,
                            .mode = locks::Item::Mode::kPermits,
                            .permits = permits.count,
                            .limit = permits.limit};
  const Result<uint64_t> token = state_->door->acquire({item}, options.wait);
  RETURN_IF_ERROR(token);
  Held held;
  held.session_ = this;
  held.names_ = {std::move(name)};
  held.count_ = permits.count;
  held.token_ = *token;
  return held;
}

Result<uint64_t> LockSession::upgrade(const std::string& name, Duration wait) {
  return state_->door->upgrade(name, wait);
}

Result<uint64_t> LockSession::downgrade(const std::string& name) {
  return state_->door->downgrade(name);
}

Result<std::pair<std::string, uint64_t>> LockSession::holder(const std::string& name) {
  return state_->door->holder(name);
}

// Of a lost lock nothing is left to give back.
void LockSession::release(const std::string& name, uint64_t count) {
  state_->door->release(name, count);
}

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

// ---- recipes ------------------------------------------------------------------------------------

Result<uint64_t> Election::campaign(Duration wait) {
  Result<Held> held = session_.acquire(name_, {false, wait});
  RETURN_IF_ERROR(held);
  held_ = std::move(*held);
  return held_.token();
}

Result<uint32_t> Barrier::wait(Duration timeout) {
  if (parties_ == 0) {
    return Status(Code::kInvalidArgument, "a barrier has parties");
  }
  const Clock::time_point end = Clock::now() + nanos(timeout);
  const Result<int64_t> came = come_();
  RETURN_IF_ERROR(came);
  const int64_t number = (*came - 1) % parties_;
  const int64_t full = *came - number - 1 + parties_;
  for (auto pause = std::chrono::milliseconds(1);; pause = std::min(pause * 2, kPauseMost)) {
    const Result<int64_t> arrived = arrived_();
    RETURN_IF_ERROR(arrived);
    if (*arrived >= full) {
      return static_cast<uint32_t>(number);
    }
    if (Clock::now() >= end) {
      return Status(Code::kTimeout, "the others have not come");
    }
    std::this_thread::sleep_for(pause);
  }
}

}  // namespace quorate
