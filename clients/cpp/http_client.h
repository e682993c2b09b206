// SPDX-License-Identifier: Apache-2.0
// HttpClient: one blocking conversation with a cluster over HTTP, whichever of its nodes is up.
//
// A call is retried while that is safe and time is left: when no connection can be made, when the
// answer says retry "safe", and, if the call is idempotent (a read, or it carries an
// Idempotency-Key), also when the answer got lost. Between tries it goes to the node that a
// not_leader answer names, else to the next of the list, after a pause that doubles. When it may
// not be retried, a lost answer is unknown_outcome, never "failed".
//
// One connection is kept open. Not for several threads.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "base/time.h"

namespace quorate::client {

struct Options {
  std::vector<std::string> nodes = {"127.0.0.1:8001"};  // host:port of HTTP
  Duration timeout = Duration::seconds(10);             // of a call with all its tries
  Duration try_timeout = Duration::seconds(5);          // of one try
  bool tls = false;
  std::string tls_authority = {};    // PEM file; empty: those that the system trusts
  std::string tls_certificate = {};  // PEM files, if the server asks for them
  std::string tls_key = {};
  std::string token = {};  // or else, if the cluster controls access:
  std::string user = {};
  std::string password = {};
};

struct Call {
  std::string method = "GET";
  std::string target = "/";
  std::string body = {};
  std::vector<std::pair<std::string, std::string>> headers = {};
  bool idempotent = false;  // it may be sent twice: a read, or with a key
  // For a lock: a timeout or a deadlock is its outcome, not weather. It may be long, so its node is
  // asked for a sign of life meanwhile; without one for some 9 s the connection counts as lost.
  bool waits = false;
};

struct Answer {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::string node;  // who answered
  int tries = 1;

  [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const;
};

// A part of a body that is still coming; false: enough.
using OnPiece = std::function<bool(std::string piece)>;

class HttpClient {
 public:
  explicit HttpClient(Options options);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // An answer of 2xx or 3xx, or the error that the server's body tells, or what happened to the
  // connection.
  [[nodiscard]] Result<Answer> call(const Call& call);
  // Of the last call, whatever came of it.
  [[nodiscard]] int tries() const;
  // A body without a known end, from the first node that answers. Success: it ended, or was enough.
  // Never repeated: after kUnavailable the caller knows how far it came. The connection counts as
  // lost after a `silence`.
  [[nodiscard]] Status stream(const Call& call, Duration silence, const OnPiece& piece);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// 128 random bits as hex: names one write, so that its repetitions are known.
[[nodiscard]] std::string new_idempotency_key();

}  // namespace quorate::client
