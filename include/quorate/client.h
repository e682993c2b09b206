// SPDX-License-Identifier: Apache-2.0
// Client: a cluster in other processes, spoken to over its Redis port.
//
//   auto made = quorate::Client::connect({.nodes = {"10.0.0.1:7001", "10.0.0.2:7002"}});
//   quorate::Client& client = **made;
//   client.set("greeting", "hello").wait();           // blocks
//   auto value = co_await client.get("greeting");     // in a Task
//
// Every call begins at once and gives a Pending (task.h). Calls that are under way together share
// packets and rounds of consensus: to go fast, begin many and then wait for them. Calls of one
// thread on one key take effect in their order, unless one of them had to be repeated.
//
// A call goes to the node that leads its key. When a node dies, or says that it cannot, the call is
// repeated at another one until its time is over. A write carries an id by which the cluster knows
// it again, so it is done once however often it is sent; when time is over and nobody can say
// whether it was done, the answer is unknown_outcome, never "failed".
//
// One thread of its own does all the talking. Calls may be made on any thread. Destroying it ends
// what is under way with `unavailable`; nobody may be inside a call then.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/time.h"
#include "quorate/fence.h"
#include "quorate/task.h"

namespace quorate {

struct ClientOptions {
  std::vector<std::string> nodes = {"127.0.0.1:7001"};  // host:port of RESP; the rest are learned
  Duration timeout = Duration::seconds(10);             // of a call with all its tries
  Duration silence_max = Duration::seconds(2);  // of a node that owes answers; then it is left
  std::string token = {};                       // if the cluster controls access; or else:
  std::string user = {};
  std::string password = {};
  bool tls = false;
  std::string tls_authority = {};    // PEM file; empty: those that the system trusts
  std::string tls_certificate = {};  // PEM files, if the servers ask for them
  std::string tls_key = {};
};

// Nothing in it owns memory: some compilers destroy the temporaries of an awaited call twice.
struct SetOptions {
  Duration ttl = {};      // zero: for ever
  bool keep_ttl = false;  // leave the expiry as it is
  bool if_absent = false;
  bool if_present = false;
  const Fence* fence = nullptr;  // read before the call returns
};

// An answer as it came.
struct Reply {
  enum class Kind : uint8_t { kNull, kInteger, kText, kArray };

  Kind kind = Kind::kNull;
  int64_t integer = 0;
  std::string text;
  std::vector<Reply> items;
};

class Client {
 public:
  // Does not wait for the cluster: calls do, as long as their time lasts. Fails for options that
  // can never work: a node that is no host:port, certificates that cannot be read.
  [[nodiscard]] static Result<std::unique_ptr<Client>> connect(const ClientOptions& options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Nothing if there is no such key.
  [[nodiscard]] Pending<std::optional<std::string>> get(std::string_view key);
  // False if a condition of the options does not hold.
  [[nodiscard]] Pending<bool> set(std::string_view key, std::string_view value,
                                  const SetOptions& options = {});
  // Whether there was one.
  [[nodiscard]] Pending<bool> remove(std::string_view key, const Fence* fence = nullptr);
  [[nodiscard]] Pending<bool> touch(std::string_view key, Duration ttl);
  // The new number; a missing key counts as 0.
  [[nodiscard]] Pending<int64_t> increment(std::string_view key, int64_t by = 1,
                                           const Fence* fence = nullptr);

  // Any command of one key, which is the word at `key_at` (docs/guide/redis.md has them all).
  [[nodiscard]] Pending<Reply> read(const std::vector<std::string>& words, size_t key_at = 1);
  [[nodiscard]] Pending<Reply> write(const std::vector<std::string>& words, size_t key_at = 1,
                                     const Fence* fence = nullptr);
  // A command without a key. It is repeated only while it cannot have been done.
  [[nodiscard]] Pending<Reply> command(const std::vector<std::string>& words);

 private:
  class Core;
  explicit Client(std::unique_ptr<Core> core);

  std::unique_ptr<Core> core_;
};

}  // namespace quorate
