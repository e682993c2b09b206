// SPDX-License-Identifier: Apache-2.0
#include "rpc/calls.h"

#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/codec.h"
#include "base/limits.h"
#include "base/mutant.h"
#include "base/prng.h"

namespace quorate::rpc {
namespace {

constexpr size_t kCallHeaderBytes = 9;  // id and code

}  // namespace

Calls::Answer::Answer(Calls* calls, NodeId peer, uint64_t id)
    : calls_(calls), alive_(calls->alive_), peer_(peer), id_(id) {}

Calls::Answer& Calls::Answer::operator=(Answer&& other) noexcept {
  std::swap(calls_, other.calls_);
  std::swap(alive_, other.alive_);
  std::swap(peer_, other.peer_);
  std::swap(id_, other.id_);
  return *this;
}

Calls::Answer::~Answer() {
  if (calls_ != nullptr) {
    send(Status(Code::kUnknownOutcome, "the request was dropped by the node that served it"), {});
  }
}

void Calls::Answer::send(const Status& status, std::string_view body) {
  ASSERT(calls_ != nullptr, "a request is answered once");
  Calls* const calls = std::exchange(calls_, nullptr);
  if (!alive_.expired()) {
    calls->answered(peer_);
    calls->write_answer(peer_, id_, status, body);
  }
}

Calls::Calls(const env::Clock& clock, env::Timer& timer, Outbox& outbox)
    : timer_(timer),
      clock_(clock),
      outbox_(outbox),
      next_id_(mix64(static_cast<uint64_t>(clock.wall().micros()) ^
                     mix64(static_cast<uint64_t>(clock.now().nanos())))) {
  outbox_.set_drop_handler([this](NodeId peer, uint64_t frame) { on_drop(peer, frame); });
}

Calls::~Calls() {
  outbox_.set_drop_handler(nullptr);
  for (auto& [key, pending] : pending_) {
    timer_.cancel(pending.timer);
  }
}

void Calls::call(NodeId peer, std::string_view request, Duration timeout, Done done) {
  ++counters_.calls;
  if (request.size() > kItemBytesMax - kCallHeaderBytes) {
    return refuse(std::move(done), Code::kTooLarge, "the request does not fit into a frame");
  }
  if (pending_.size() >= limits::kCallsMax) {
    return refuse(std::move(done), Code::kResourceExhausted, "too many calls to other nodes");
  }
  const Key key{peer, next_id_++};
  const uint64_t frame = outbox_.add(peer, GroupId(), ItemKind::kRequest, [&](std::string& out) {
    Writer writer(out);
    writer.u64(key.id);
    writer.raw(request);
  });
  const env::TimerId timer = timer_.start(clock_.now() + timeout, [this, key] {
    ++counters_.unknown;
    end(key, Status(Code::kUnknownOutcome, "no answer in time"), {});
  });
  pending_.emplace(key, Pending{frame, timer, std::move(done)});
  // The request filled its frame, which left inside add() and was dropped.
  if (dropped_peer_ == peer && dropped_frame_ == frame) {
    end_unsent(peer, frame);
  }
}

void Calls::refuse(Done done, Code code, std::string message) {
  ++counters_.refused;
  end_later(std::move(done), Status(code, std::move(message)));
}

void Calls::on_request(NodeId from, std::string_view bytes) {
  Reader in(bytes);
  const uint64_t id = in.u64();
  if (!in.ok()) {
    ++counters_.malformed;
    return;
  }
  std::unique_ptr<Served>& served = served_[from];
  if (served == nullptr) {
    served = std::make_unique<Served>();
  }
  if (!served->take(id)) {
    ++counters_.doubled;
    return;
  }
  size_t& serving = serving_[from];
  if (serving >= limits::kServedCallsMax || !handler_) {
    ++counters_.refused;
    write_answer(from, id, Status(Code::kResourceExhausted, "too many requests are open"), {});
    return;
  }
  ++serving;
  ++counters_.served;
  handler_(from, in.rest(), Answer(this, from, id));
}

void Calls::on_answer(NodeId from, std::string_view bytes) {
  Reader in(bytes);
  const uint64_t id = in.u64();
  const std::optional<Code> code = code_from_number(in.u8());
  if (!in.ok() || !code.has_value()) {
    ++counters_.malformed;
    return;
  }
  const Key key{from, id};
  if (!pending_.contains(key)) {
    ++counters_.orphans;
    return;
  }
  ++counters_.answered;
  const std::string_view body = in.rest();
  if (*code == Code::kOk) {
    end(key, Status(), body);
  } else {
    end(key, Status(*code, std::string(body)), {});
  }
}

void Calls::on_link_down(NodeId peer) {
  const uint64_t open = outbox_.open_frame(peer);
  std::vector<Key> lost;
  for (auto next = pending_.lower_bound(Key{peer, 0});
       next != pending_.end() && next->first.peer == peer; ++next) {
    // What is still in the open frame was not sent; the flush decides over it.
    if (next->second.frame < open) {
      lost.push_back(next->first);
    }
  }
  counters_.unknown += lost.size();
  const std::weak_ptr<bool> alive = alive_;
  for (const Key& key : lost) {
    end(key,
        Status(MUTANT(lost_call_is_called_failed) ? Code::kUnavailable : Code::kUnknownOutcome,
               "the link broke before an answer came"),
        {});
    if (alive.expired()) {
      return;
    }
  }
}

void Calls::on_drop(NodeId peer, uint64_t frame) {
  dropped_peer_ = peer;
  dropped_frame_ = frame;
  end_unsent(peer, frame);
}

// The newest frame's calls are the last ones of its peer.
void Calls::end_unsent(NodeId peer, uint64_t frame) {
  std::vector<Done> unsent;
  auto last = pending_.upper_bound(Key{peer, UINT64_MAX});
  while (last != pending_.begin()) {
    const auto current = std::prev(last);
    if (current->first.peer != peer || current->second.frame != frame) {
      break;
    }
    timer_.cancel(current->second.timer);
    unsent.push_back(std::move(current->second.done));
    last = pending_.erase(current);
  }
  counters_.unavailable += unsent.size();
  for (auto done = unsent.rbegin(); done != unsent.rend(); ++done) {
    end_later(std::move(*done), Status(Code::kUnavailable, "no link to the node"));
  }
}

// Drops are noticed inside flush() and call(), where the caller does not expect its own callbacks.
void Calls::end_later(Done done, Status status) {
  timer_.defer([alive = std::weak_ptr<bool>(alive_), done = std::move(done),
                status = std::move(status)]() mutable {
    if (!alive.expired()) {
      done(status, {});
    }
  });
}

void Calls::end(const Key& key, const Status& status, std::string_view answer) {
  const auto found = pending_.find(key);
  if (found == pending_.end()) {
    return;
  }
  Done done = std::move(found->second.done);
  timer_.cancel(found->second.timer);
  pending_.erase(found);
  done(status, answer);
}

void Calls::write_answer(NodeId peer, uint64_t id, const Status& status, std::string_view body) {
  if (status.ok() && body.size() > kItemBytesMax - kCallHeaderBytes) {
    const Status too_large(Code::kTooLarge, "served, but the answer does not fit into a frame");
    return write_answer(peer, id, too_large, {});
  }
  outbox_.add(peer, GroupId(), ItemKind::kAnswer, [&](std::string& out) {
    Writer writer(out);
    writer.u64(id);
    writer.u8(static_cast<uint8_t>(status.code()));
    writer.raw(status.ok() ? body : std::string_view(status.message()));
  });
}

void Calls::answered(NodeId peer) {
  const auto serving = serving_.find(peer);
  ASSERT(serving != serving_.end() && serving->second > 0);
  if (--serving->second == 0) {
    serving_.erase(serving);
  }
}

}  // namespace quorate::rpc
