// SPDX-License-Identifier: Apache-2.0
// Calls: questions between nodes and their answers, for requests that another node must serve.
//
//   kRequest item = id u64, body
//   kAnswer item  = id u64, code u8, body (of a failure: its message)
//
// Every call ends exactly once, unless the Calls is destroyed before:
//   the answer                 success, or the code that the other side gave
//   kUnavailable               certainly not served: no link, or the queue was full
//   kUnknownOutcome            sent, then the link broke or the time ran out: it may have been
//   served kResourceExhausted         too many calls are open, here or there; not served kTooLarge
//   the request does not fit into a frame; not served
//
// A request that the network delivers twice is served once (served.h).
//
// The ids of a process begin at a place taken from its clocks, so that an answer to a call of the
// process that ran before under the same node id finds nobody here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/function.h"
#include "base/ids.h"
#include "base/status.h"
#include "env/clock.h"
#include "env/timer.h"
#include "rpc/outbox.h"
#include "rpc/served.h"

namespace quorate::rpc {

class Calls {
 public:
  // The bytes are valid during the callback.
  using Done = UniqueFunction<void(const Status&, std::string_view answer)>;

  // The duty to answer one request. Answer once, now or later; an Answer that is destroyed before
  // tells the caller kUnknownOutcome. Harmless after the Calls is gone.
  class Answer {
   public:
    Answer() = default;
    Answer(Answer&& other) noexcept { *this = std::move(other); }
    Answer& operator=(Answer&& other) noexcept;
    ~Answer();
    void operator()(std::string_view body) { send(Status(), body); }
    void fail(const Status& status) { send(status, {}); }
    [[nodiscard]] explicit operator bool() const { return calls_ != nullptr; }

   private:
    friend class Calls;
    Answer(Calls* calls, NodeId peer, uint64_t id);
    void send(const Status& status, std::string_view body);

    Calls* calls_ = nullptr;
    std::weak_ptr<bool> alive_;
    NodeId peer_;
    uint64_t id_ = 0;
  };
  using Handler = UniqueFunction<void(NodeId from, std::string_view request, Answer answer)>;

  struct Counters {
    uint64_t calls = 0;
    uint64_t answered = 0;
    uint64_t unavailable = 0;
    uint64_t unknown = 0;
    uint64_t refused = 0;  // by the bounds, here or for others
    uint64_t served = 0;
    uint64_t doubled = 0;  // requests that came again, and were served the first time only
    uint64_t orphans = 0;  // answers that nobody waits for
    uint64_t malformed = 0;
  };

  // Sends through `outbox`, whose owner flushes it, and takes its drop handler.
  Calls(const env::Clock& clock, env::Timer& timer, Outbox& outbox);
  ~Calls();
  Calls(const Calls&) = delete;
  Calls& operator=(const Calls&) = delete;

  void set_handler(Handler handler) { handler_ = std::move(handler); }
  // `done` never runs inside call().
  void call(NodeId peer, std::string_view request, Duration timeout, Done done);

  // The owner passes what it finds in frames, and what the network says.
  void on_request(NodeId from, std::string_view bytes);
  void on_answer(NodeId from, std::string_view bytes);
  void on_link_down(NodeId peer);

  [[nodiscard]] size_t pending() const { return pending_.size(); }
  [[nodiscard]] const Counters& counters() const { return counters_; }

 private:
  // In the order of the peers, and for one peer in the order of sending.
  struct Key {
    NodeId peer;
    uint64_t id;
    auto operator<=>(const Key&) const = default;
  };
  struct Pending {
    uint64_t frame;  // that the request travels in
    env::TimerId timer;
    Done done;
  };

  void refuse(Done done, Code code, std::string message);
  void on_drop(NodeId peer, uint64_t frame);
  void end_unsent(NodeId peer, uint64_t frame);
  void end_later(Done done, Status status);
  void end(const Key& key, const Status& status, std::string_view answer);
  void write_answer(NodeId peer, uint64_t id, const Status& status, std::string_view body);
  void answered(NodeId peer);

  env::Timer& timer_;
  const env::Clock& clock_;
  Outbox& outbox_;
  Handler handler_;
  uint64_t next_id_;
  std::map<Key, Pending> pending_;
  NodeId dropped_peer_;  // the last frame that the outbox could not send
  uint64_t dropped_frame_ = 0;
  std::map<NodeId, size_t> serving_;  // Answers that exist per peer
  std::map<NodeId, std::unique_ptr<Served>> served_;  // at most limits::kPeersMax, as the links are
  Counters counters_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace quorate::rpc
