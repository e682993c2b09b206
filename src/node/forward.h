// SPDX-License-Identifier: Apache-2.0
// Forward: requests that another node must answer, and what happens when it cannot.
//
// Any node takes any request. A request whose group is led elsewhere travels to the leader, in one
// hop: a node that is asked and does not lead answers kNotLeader with the leader it knows, and the
// asker tries there. While no leader is known the request is parked and tried again until its time
// is up.
//
// Commands of one group keep their order across all that: one that has to be tried again stands in
// its group's line, and whatever comes for the group stands behind it. The first of the line is
// tried alone; when a leader has taken it, the others follow at once, in their order. If nothing is
// heard of it for long (the leader was paused), its outcome is unknown, and the next one is tried;
// sooner, if it was sent on a guess and another leads.
//
//   start()       no line of the group    attempt
//                 a line                  behind its last
//                 an outcome is open      into a line, which waits for it
//   take_back()   it is in no log         into the line; its first is tried
//   refused       no leader, a link down  into the line; tried again in a while
//
// An outcome is open where this node led the group and does not know yet what became of what it
// proposed: that may be displaced by another leader's entry, and come back to the head of the line.
// Once a later command has left the node it may not any more.
//
// A command whose link broke after it was sent may have been done: without a session it ends
// as kUnknownOutcome, with one it is simply sent again, since the group answers a repeat from its
// table.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "base/status.h"
#include "base/time.h"
#include "service/batch.h"
#include "service/proposer.h"

namespace quorate::node {

enum class ForwardKind : uint8_t { kCommand = 1, kQuery = 2, kHeartbeat = 3 };

// A request on its way. It owns its bytes, for it may have to be sent again.
struct Forwarded {
  ForwardKind kind = ForwardKind::kCommand;
  GroupId group;
  service::ServiceId service = service::ServiceId::kKv;
  SessionId session;
  uint64_t sequence = 0;
  service::CommandKey key;
  service::ReadMode mode;
  std::string body;
  // Not on the wire; the time left is.
  Instant deadline;
  service::Done done;
  uint32_t attempts = 0;
  uint64_t trial = 0;  // not zero: it is, or was, the first of its line, and tried alone
};

struct ForwardAnswer {
  Status status;
  NodeId leader;  // with kNotLeader: where to try; may be zero
  service::Origin origin;
  std::string_view answer;  // a slice of what was decoded
};

[[nodiscard]] std::string encode_request(const Forwarded& request, Duration left);
[[nodiscard]] Result<Forwarded> decode_request(std::string_view bytes, Instant now);
[[nodiscard]] std::string encode_answer(const ForwardAnswer& answer);
[[nodiscard]] Result<ForwardAnswer> decode_answer(std::string_view bytes);

// What the forwarder needs of its node.
class ForwardRoutes {
 public:
  virtual ~ForwardRoutes() = default;
  // Serves the request on this node if it can; false leaves it untouched.
  [[nodiscard]] virtual bool serve_here(Forwarded& request) = 0;
  // See above; overtake(): a later command leaves the node.
  [[nodiscard]] virtual bool outcome_open(GroupId group) = 0;
  virtual void overtake(GroupId group) = 0;
  // The node that probably leads the group; zero if none is known.
  [[nodiscard]] virtual NodeId leader_of(GroupId group) = 0;
  // Nodes that hold the group, for when nobody is known to lead it.
  [[nodiscard]] virtual std::vector<NodeId> holders_of(GroupId group) = 0;
  // Sends and calls back once: with the answer's bytes, kUnavailable if it was never sent, or
  // kUnknownOutcome if it was and no answer came.
  virtual void call(NodeId target, std::string request, Duration timeout,
                    UniqueFunction<void(const Status&, std::string_view)> done) = 0;
  [[nodiscard]] virtual Instant now() = 0;
};

class Forwarder {
 public:
  Forwarder(ForwardRoutes& routes, NodeId self) : routes_(routes), self_(self) {}
  ~Forwarder() { *alive_ = false; }
  Forwarder(const Forwarder&) = delete;
  Forwarder& operator=(const Forwarder&) = delete;

  void start(std::unique_ptr<Forwarded> request);
  // A command that this node took as leader and did not bring into a log: before any that comes
  // later for its group. `first`: before all that wait, until go_on().
  void take_back(std::unique_ptr<Forwarded> request, bool first);
  // No outcome is open any more: the line of the group goes on.
  void go_on(GroupId group) { try_first(group); }
  // True while commands of the group wait here, so that a new one has to stand behind them.
  [[nodiscard]] bool has_line(GroupId group) const { return lines_.contains(group); }
  // A leader has come or gone: the next tick tries again.
  void leader_changed() { retry_at_ = Instant(); }
  // Tries the parked ones again and ends those whose time is up.
  void tick(Instant now);
  [[nodiscard]] size_t parked() const { return parked_.size() + in_lines_; }
  [[nodiscard]] uint64_t sent() const { return sent_; }

 private:
  using Requests = std::deque<std::unique_ptr<Forwarded>>;
  struct Line {
    Requests waiting;
    uint64_t trial = 0;  // of the first one, which is out; zero: it is not
    NodeId guessed;      // who has it, if it was not known to lead
    Instant tried_at;
    Instant held_since = Instant::never();  // for an outcome that is open
  };
  enum class Tried : uint8_t { kTaken, kSent, kNobody };

  // kNobody leaves the request as it is.
  [[nodiscard]] Tried attempt_once(std::unique_ptr<Forwarded>& request);
  void attempt(std::unique_ptr<Forwarded> request);
  void answered(std::unique_ptr<Forwarded> request, NodeId target, const Status& status,
                std::string_view bytes);
  void park(std::unique_ptr<Forwarded> request);
  void stand_in_line(std::unique_ptr<Forwarded> request, bool first);
  void try_first(GroupId group);
  [[nodiscard]] bool holds(GroupId group, Line& line);
  void follow(GroupId group);
  void end_late(Requests& requests, Instant now);
  void tend_line(GroupId group, Instant now);
  // How long the first of a line may be out without an answer.
  [[nodiscard]] Duration patience_with(GroupId group, const Line& line);
  [[nodiscard]] bool on_trial(const Forwarded& request) const;
  // True if it was on trial; it is no more, and the group's line is there.
  [[nodiscard]] bool end_trial(const Forwarded& request);
  void end(Forwarded& request, const Status& status);
  [[nodiscard]] NodeId target_of(const Forwarded& request);

  ForwardRoutes& routes_;
  const NodeId self_;
  Requests parked_;                // queries
  std::map<GroupId, Line> lines_;  // commands; a line is never empty unless its first is out
  size_t in_lines_ = 0;
  uint64_t trials_ = 0;
  // What a kNotLeader answer said of groups that this node does not hold.
  std::unordered_map<GroupId, NodeId> hints_;
  Instant retry_at_;
  uint64_t sent_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace quorate::node
