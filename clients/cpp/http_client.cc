// SPDX-License-Identifier: Apache-2.0
#include "clients/cpp/http_client.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <chrono>
#include <map>
#include <random>
#include <thread>

#include "base/prng.h"
#include "clients/cpp/connection.h"

namespace quorate::client {
namespace {

namespace json = boost::json;

constexpr Duration kPauseFirst = Duration::millis(20);
constexpr Duration kPauseMost = Duration::millis(500);
// With the pause between its questions: a node that does not answer so often is left.
constexpr Duration kProbePatience = Duration::seconds(1);
constexpr int kSilencesMost = 3;

Instant now() {
  return Instant::from_nanos(std::chrono::steady_clock::now().time_since_epoch().count());
}

uint64_t random_bits() {
  static std::random_device device;
  return (uint64_t{device()} << 32) | device();
}

bool same_name(std::string_view a, std::string_view b) {
  const auto lower = [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

// What the error body says; an answer without one (from a proxy, say) is judged by its status.
Status status_of(const Answer& answer) {
  boost::system::error_code error;
  const json::value body = json::parse(answer.body, error);
  const json::value* found = error ? nullptr : body.find_pointer("/error", error);
  if (found != nullptr && found->is_object()) {
    const json::object& fields = found->get_object();
    const json::value* name = fields.if_contains("code");
    const json::value* message = fields.if_contains("message");
    for (const CodeRow& row : code_table()) {
      if (name != nullptr && name->is_string() && row.code != Code::kOk &&
          std::string_view(name->get_string()) == row.name) {
        return Status(row.code, message != nullptr && message->is_string()
                                    ? std::string(message->get_string())
                                    : std::string(row.meaning));
      }
    }
  }
  const std::string text = "HTTP " + std::to_string(answer.status) + " from " + answer.node;
  return Status(answer.status >= 500 ? Code::kUnavailable : Code::kInvalidArgument, text);
}

bool is_read(const Call& call) { return call.method == "GET" || call.method == "HEAD"; }

// A code that says "nothing was done" speaks of its own try only, not of those before it. A refusal
// (retry "no") was decided by the cluster with the same key, so it speaks of all.
Status unknown_if(bool maybe_done, const Status& last) {
  const bool decided = row_of(last.code()).retry == Retry::kNo;
  return maybe_done && !decided ? Status(Code::kUnknownOutcome, last.message()) : last;
}

}  // namespace

std::optional<std::string_view> Answer::header(std::string_view name) const {
  for (const auto& [header_name, value] : headers) {
    if (same_name(header_name, name)) {
      return value;
    }
  }
  return std::nullopt;
}

struct HttpClient::State {
  explicit State(Options given) : options(std::move(given)), prng(random_bits()) {}

  Attempt attempt(const Call& call, Duration timeout) {
    if (!connection || node != connected_to) {
      connection = make_connection(options, node);
      connected_to = node;
    }
    connection->set_hope([this] { return gives_hope(); });
    const bool reused = connection->usable();
    Attempt attempt = connection->attempt(call, timeout);
    // A kept connection that the server closed meanwhile: nothing can have come of the request if
    // it may be repeated anyway; a write without a key must not risk it.
    const bool lost = attempt.reached != Reached::kAnswered;
    if (lost) {
      connection.reset();
    }
    if (lost && reused && call.idempotent && !attempt.hopeless) {
      connection = make_connection(options, node);
      connection->set_hope([this] { return gives_hope(); });
      attempt = connection->attempt(call, timeout);
    }
    probe.reset();
    if (connection && !connection->usable()) {
      connection.reset();
    }
    return attempt;
  }

  // A node that stands still, or a machine that went without a word, leaves its connections open.
  bool gives_hope() {
    if (probe == nullptr) {
      probe = make_connection(options, node);
      silences = 0;
    }
    if (probe->attempt({.target = "/healthz"}, kProbePatience).reached == Reached::kAnswered) {
      silences = 0;
    } else if (++silences == kSilencesMost) {
      return false;
    }
    return true;
  }

  void go_elsewhere(const Answer* answer) {
    const auto hint = answer != nullptr ? answer->header("Quorate-Leader") : std::nullopt;
    if (hint && !hint->empty() && *hint != node) {
      node = std::string(*hint);
      return;
    }
    position = (position + 1) % options.nodes.size();
    node = options.nodes[position];
  }

  // A pause between half and all of what it has doubled to, so that clients do not march in step.
  void pause(Instant deadline) {
    const Duration most = std::min(next_pause, deadline - now());
    next_pause = std::min(next_pause * 2, kPauseMost);
    if (most > Duration()) {
      const int64_t nanos = most.nanos() / 2 + prng.between(0, most.nanos() / 2);
      std::this_thread::sleep_for(std::chrono::nanoseconds(nanos));
    }
  }

  const Options options;
  Prng prng;
  size_t position = 0;
  std::string node;
  std::string connected_to;
  std::unique_ptr<Connection> connection;
  std::unique_ptr<Connection> probe;  // of the node of the call that waits
  int tries = 0;
  int silences = 0;  // one after the other, of its answers
  Duration next_pause = kPauseFirst;
};

HttpClient::HttpClient(Options options) : state_(std::make_unique<State>(std::move(options))) {
  if (!state_->options.nodes.empty()) {
    state_->node = state_->options.nodes[0];
  }
}

HttpClient::~HttpClient() = default;

int HttpClient::tries() const { return state_->tries; }

Result<Answer> HttpClient::call(const Call& call) {
  if (state_->options.nodes.empty()) {
    return Status(Code::kInvalidArgument, "no node is given");
  }
  const Instant deadline = now() + state_->options.timeout;
  state_->next_pause = kPauseFirst;
  Status last;
  bool maybe_done = false;  // some try of this write may have had an effect
  for (int tries = 1;; ++tries) {
    state_->tries = tries;
    const std::string asked = state_->node;
    Attempt attempt =
        state_->attempt(call, std::min(state_->options.try_timeout, deadline - now()));
    bool repeat = call.idempotent || attempt.reached < Reached::kSent;
    if (attempt.reached == Reached::kAnswered) {
      attempt.answer.tries = tries;
      if (attempt.answer.status < 400) {
        return std::move(attempt.answer);
      }
      last = status_of(attempt.answer);
      const Retry retry = row_of(last.code()).retry;
      if (call.waits && (last.code() == Code::kTimeout || last.code() == Code::kDeadlock)) {
        return last;
      }
      maybe_done |= retry == Retry::kWithKey;
      repeat = retry == Retry::kSafe || (retry == Retry::kWithKey && call.idempotent);
    } else {
      maybe_done |= attempt.reached == Reached::kSent && !is_read(call);
      if (attempt.distrust) {
        return unknown_if(maybe_done,
                          Status(Code::kUnauthenticated, asked + ": " + attempt.problem));
      }
      last = Status(Code::kUnavailable, asked + ": " + attempt.problem);
    }
    if (!repeat) {
      return unknown_if(maybe_done, last);
    }
    state_->go_elsewhere(attempt.reached == Reached::kAnswered ? &attempt.answer : nullptr);
    state_->pause(deadline);
    if (now() >= deadline) {
      return unknown_if(maybe_done, last);
    }
  }
}

Status HttpClient::stream(const Call& call, Duration silence, const OnPiece& piece) {
  Status last(Code::kInvalidArgument, "no node is given");
  for (size_t tries = 0; tries < state_->options.nodes.size(); ++tries) {
    bool is_enough = false;
    bool has_begun = false;
    const OnPiece pass = [&](std::string part) {
      has_begun = true;
      is_enough = !piece(std::move(part));
      return !is_enough;
    };
    const std::string asked = state_->node;
    const std::unique_ptr<Connection> connection = make_connection(state_->options, asked);
    const Attempt attempt = connection->attempt(call, silence, &pass);
    if (is_enough) {
      return Status::success();
    }
    if (attempt.reached == Reached::kAnswered) {
      last = attempt.answer.status < 400 ? Status::success() : status_of(attempt.answer);
    } else {
      last = Status(Code::kUnavailable, asked + ": " + attempt.problem);
    }
    if (last.ok() || row_of(last.code()).retry == Retry::kNo) {
      return last;
    }
    state_->go_elsewhere(nullptr);
    if (has_begun) {
      return last;
    }
  }
  return last;
}

std::string new_idempotency_key() {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string key;
  for (int word = 0; word < 2; ++word) {
    const uint64_t bits = random_bits();
    for (int shift = 60; shift >= 0; shift -= 4) {
      key += kHex[(bits >> shift) & 15];
    }
  }
  return key;
}

}  // namespace quorate::client
