// SPDX-License-Identifier: Apache-2.0
// Locks: an owner that a thread keeps alive, and what is built of locks; of a Database, which is a
// node in this process, or of a cluster in others.
//
//   auto session = quorate::LockSession::open(database, {.lease = quorate::Duration::seconds(10)});
//   auto session = quorate::LockSession::connect({.nodes = {"10.0.0.1:8001", "10.0.0.2:8002"}},
//   {}); auto held = (*session)->acquire("reports/daily"); if (held.ok()) {
//   write_report(held->token()); }     // given back when it goes
//
// A lock does not stop a holder that believes that it still holds it: see docs/guide/locks.md.
// What is written under a lock should carry its token, and be refused if a greater one was seen;
// keys do so under a fence.
//
// Calls block, and may be made on any thread but the node's. A session waits for one thing at a
// time, so it is for one thread; threads that exclude each other have a session each. A Database
// must outlive its sessions, and a session what it holds.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "base/time.h"
#include "quorate/database.h"
#include "quorate/fence.h"

namespace quorate {

class Client;
class LockSession;

// A cluster in other processes, spoken to over HTTP.
struct LockCluster {
  std::vector<std::string> nodes = {"127.0.0.1:8001"};  // host:port of HTTP
  Duration timeout =
      Duration::seconds(10);  // of a call with all its tries, beside a wait for a lock
  std::string token = {};     // if the cluster controls access; or else:
  std::string user = {};
  std::string password = {};
  bool tls = false;
  std::string tls_authority = {};    // PEM file; empty: those that the system trusts
  std::string tls_certificate = {};  // PEM files, if the servers ask for them
  std::string tls_key = {};
};

struct LockSessionOptions {
  std::string owner = {};                  // empty: one that nobody else has
  Duration lease = Duration::seconds(10);  // how long others wait if this process dies
  uint32_t domain = 0;
  // Called once, on the session's thread, when the lease is over by this machine's steady clock or
  // by the cluster's word.
  std::function<void()> on_lost = {};
};

struct LockOptions {
  bool shared = false;
  Duration wait = Duration::seconds(86'400);  // zero: not at all
};

// What is held; it is given back when it goes.
class Held {
 public:
  Held() = default;
  ~Held() { release(); }
  Held(Held&& other) noexcept { *this = std::move(other); }
  Held& operator=(Held&& other) noexcept;

  // Greater than those of all who held it before.
  [[nodiscard]] uint64_t token() const { return token_; }
  // For what is written under it: database.put(key, value, {.fence = held->fence()}).
  [[nodiscard]] Fence fence() const;
  // True once others may hold it.
  [[nodiscard]] bool lost() const;
  void release();

 private:
  friend class LockSession;
  LockSession* session_ = nullptr;
  std::vector<std::string> names_;
  uint64_t count_ = 1;  // permits
  uint64_t token_ = 0;
};

class LockSession {
 public:
  [[nodiscard]] static Result<std::unique_ptr<LockSession>> open(Database& database,
                                                                 LockSessionOptions options);
  [[nodiscard]] static Result<std::unique_ptr<LockSession>> connect(const LockCluster& cluster,
                                                                    LockSessionOptions options);
  ~LockSession();  // gives back all that it holds
  LockSession(const LockSession&) = delete;
  LockSession& operator=(const LockSession&) = delete;

  // kTimeout if it does not become free in time (kPreconditionFailed if no wait was wanted),
  // kDeadlock if it never would, kLeaseLost.
  [[nodiscard]] Result<Held> acquire(std::string name, LockOptions options = {});
  // All or none, in one mode; no deadlock among those who take several so.
  [[nodiscard]] Result<Held> acquire_many(std::vector<std::string> names, LockOptions options = {});
  struct Permits {
    uint64_t count = 1;
    uint64_t limit = 1;  // of the semaphore; all who use it say the same
  };
  [[nodiscard]] Result<Held> acquire_permits(std::string name, Permits permits,
                                             LockOptions options = {});
  // From shared to exclusive, before all who wait; the new token. And back; the token stays.
  [[nodiscard]] Result<uint64_t> upgrade(const std::string& name, Duration wait);
  [[nodiscard]] Result<uint64_t> downgrade(const std::string& name);
  // Who holds it in the first place, with which token; kNotFound if nobody does.
  [[nodiscard]] Result<std::pair<std::string, uint64_t>> holder(const std::string& name);

  [[nodiscard]] const std::string& owner() const;
  [[nodiscard]] uint32_t domain() const;
  [[nodiscard]] bool lost() const;

 private:
  friend class Held;
  struct State;
  explicit LockSession(std::unique_ptr<State> state);
  void release(const std::string& name, uint64_t count);

  std::unique_ptr<State> state_;
};

// Readers together, or one writer; a writer that waits is not starved.
class ReadWriteLock {
 public:
  ReadWriteLock(LockSession& session, std::string name)
      : session_(session), name_(std::move(name)) {}
  [[nodiscard]] Result<Held> read(Duration wait = LockOptions().wait) {
    return session_.acquire(name_, {true, wait});
  }
  [[nodiscard]] Result<Held> write(Duration wait = LockOptions().wait) {
    return session_.acquire(name_, {false, wait});
  }

 private:
  LockSession& session_;
  const std::string name_;
};

// At most `limit` permits are out, over all processes; all who use it say the same limit.
class Semaphore {
 public:
  Semaphore(LockSession& session, std::string name, uint64_t limit)
      : session_(session), name_(std::move(name)), limit_(limit) {}
  [[nodiscard]] Result<Held> acquire(uint64_t permits = 1, Duration wait = LockOptions().wait) {
    return session_.acquire_permits(name_, {permits, limit_}, {false, wait});
  }

 private:
  LockSession& session_;
  const std::string name_;
  const uint64_t limit_;
};

// One of many candidates leads: whoever holds the lock. Its token is its term.
class Election {
 public:
  Election(LockSession& session, std::string name) : session_(session), name_(std::move(name)) {}
  // Waits to be elected; the term.
  [[nodiscard]] Result<uint64_t> campaign(Duration wait = LockOptions().wait);
  void resign() { held_.release(); }
  [[nodiscard]] bool leads() const { return held_.token() != 0 && !held_.lost(); }
  // Owner and term of who leads; kNotFound if nobody does.
  [[nodiscard]] Result<std::pair<std::string, uint64_t>> leader() { return session_.holder(name_); }

 private:
  LockSession& session_;
  const std::string name_;
  Held held_;
};

// Nobody goes on before `parties` have come; then it begins again. It counts in a key. A party that
// comes and dies has come.
class Barrier {
 public:
  Barrier(Database& database, std::string name, uint32_t parties);
  Barrier(Client& client, std::string name, uint32_t parties);
  // The number of this party in its round, from 0; kTimeout if the others do not come.
  [[nodiscard]] Result<uint32_t> wait(Duration timeout);

 private:
  const std::function<Result<int64_t>()> come_;
  const std::function<Result<int64_t>()> arrived_;
  const uint32_t parties_;
};

}  // namespace quorate
