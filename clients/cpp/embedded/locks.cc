// SPDX-License-Identifier: Apache-2.0
// The door to a cluster that this process is part of, and the barrier in its keys.
#include <unistd.h>

#include <cstdlib>
#include <future>
#include <random>

#include "clients/cpp/locks/state.h"
#include "quorate/database.h"
#include "service/lock/api.h"

namespace quorate {

namespace lock = service::lock;

namespace {

std::string new_owner() {
  std::random_device random;
  return "embedded:" + std::to_string(getpid()) + ":" + std::to_string(random());
}

lock::Mode mode_of(locks::Item::Mode mode) {
  switch (mode) {
    case locks::Item::Mode::kShared: return lock::Mode::kShared;
    case locks::Item::Mode::kPermits: return lock::Mode::kPermits;
    case locks::Item::Mode::kExclusive: break;
  }
  return lock::Mode::kExclusive;
}

class EmbeddedDoor final : public locks::Door {
 public:
  EmbeddedDoor(Database& database, const LockSessionOptions& options)
      : database_(database), domain_(options.domain), owner_(options.owner) {}

  Status open(Duration lease) override {
    return write<bool, lock::Owned>(lock::Open{who(), lease},
                                    [](const lock::Owned&) { return true; })
        .status();
  }
  Status renew() override {
    return write<bool, lock::Owned>(lock::Renew{who()}, [](const lock::Owned&) { return true; })
        .status();
  }
  void close() override {
    (void)write<bool, lock::Closed>(lock::Close{who()}, [](const lock::Closed&) { return true; });
  }
  Result<uint64_t> acquire(const std::vector<locks::Item>& items, Duration wait) override {
    lock::Acquire acquire{.who = who(), .wait = wait};
    for (const locks::Item& item : items) {
      acquire.items.push_back({.name = item.name,
                               .mode = mode_of(item.mode),
                               .permits = item.permits,
                               .limit = item.limit});
    }
    return take(acquire);
  }
  Result<uint64_t> upgrade(const std::string& name, Duration wait) override {
    return take(lock::Upgrade{who(), name, wait});
  }
  Result<uint64_t> downgrade(const std::string& name) override {
    return write<uint64_t, lock::Acquired>(
        lock::Downgrade{who(), name},
        [](const lock::Acquired& acquired) { return acquired.token.value(); });
  }
  void release(const std::string& name, uint64_t count) override {
    (void)write<uint64_t, lock::Released>(
        lock::Release{.who = who(), .name = name, .count = count},
        [](const lock::Released& released) { return released.left; });
  }
  Result<std::pair<std::string, uint64_t>> holder(const std::string& name) override {
    using Found = std::pair<std::string, uint64_t>;
    const auto first = [](const lock::LockDetails& details) -> Result<Found> {
      if (details.holders.empty()) {
        return Status(Code::kNotFound, "nobody holds it");
      }
      return Found(details.holders.front().owner, details.holders.front().token.value());
    };
    return read<Found, lock::LockDetails>(lock::Info{domain_, name}, first);
  }

 private:
  [[nodiscard]] lock::OwnerRef who() const { return {domain_, owner_}; }

  // Proposes or asks on the node's thread and waits for the answer, which `take` turns into T while
  // its views are good.
  template <class T, class Answered, class Take>
  Result<T> write(const lock::Command& command, Take take) {
    if (const Status status = lock::validate(command); !status.ok()) {
      return status;
    }
    std::promise<Result<T>> promise;
    database_.run_with_locks([&](lock::Api& api) {
      api.write(domain_, command, {},
                [&promise, take](const lock::Answer& answer, const service::Origin&) {
                  promise.set_value(taken<T, Answered>(answer, take));
                });
    });
    return promise.get_future().get();
  }
  template <class T, class Answered, class Take>
  Result<T> read(const lock::Query& query, Take take) {
    std::promise<Result<T>> promise;
    database_.run_with_locks([&](lock::Api& api) {
      api.read(domain_, query, {},
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
  Result<uint64_t> take(const lock::Command& command) {
    if (const Status status = lock::validate(command); !status.ok()) {
      return status;
    }
    std::promise<Result<uint64_t>> promise;
    database_.run_with_locks([&](lock::Api& api) {
      api.wait(
          who(), command, {},
          [&promise](const Status& status, const lock::Acquired& acquired, const service::Origin&) {
            promise.set_value(status.ok() ? Result<uint64_t>(acquired.token.value())
                                          : Result<uint64_t>(status));
          });
    });
    return promise.get_future().get();
  }

  Database& database_;
  const lock::DomainId domain_;
  const std::string owner_;
};

}  // namespace

Result<std::unique_ptr<LockSession>> LockSession::open(Database& database,
                                                       LockSessionOptions options) {
  if (options.owner.empty()) {
    options.owner = new_owner();
  }
  auto door = std::make_unique<EmbeddedDoor>(database, options);
  return State::open(std::make_unique<State>(std::move(door), std::move(options)));
}

Barrier::Barrier(Database& database, std::string name, uint32_t parties)
    : come_([&database, name] { return database.increment(name); }),
      arrived_([&database, name]() -> Result<int64_t> {
        const Result<Entry> entry = database.get(name);
        RETURN_IF_ERROR(entry);
        return std::strtoll(entry->value.c_str(), nullptr, 10);
      }),
      parties_(parties) {}

}  // namespace quorate
