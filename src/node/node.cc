// SPDX-License-Identifier: Apache-2.0
#include "node/node.h"

#include <algorithm>

#include "base/hash.h"
#include "base/limits.h"
#include "base/prng.h"

namespace quorate::node {
namespace {

// Differs between any two starts of a node, unless both of its clocks were turned back together.
uint64_t incarnation_at(const env::Clock& clock) {
  return mix64(static_cast<uint64_t>(clock.wall().micros())) ^
         static_cast<uint64_t>(clock.now().nanos());
}

}  // namespace

Node::Node(const World& world, Options settings)
    : Shell(world.clock, world.timer, options_),
      world_(world),
      options_(std::move(settings)),
      outbox_(world.net),
      calls_(world.clock, world.timer, outbox_),
      liveness_(options_.raft.election_timeout_max, incarnation_at(world.clock)),
      forwarder_(*this, options_.id),
      now_(world.clock.now()) {
  calls_.set_handler([this](NodeId from, std::string_view request, rpc::Calls::Answer answer) {
    on_call(from, request, std::move(answer));
  });
  for (const Peer& peer : options_.initial) {
    if (peer.id != options_.id) {
      set_peer(peer.id, peer.address);
    }
  }
}

Node::~Node() {
  *alive_ = false;
  world_.net.set_handler(nullptr);
  world_.timer.cancel(tick_timer_);
  world_.timer.cancel(hold_timer_);
  for (Slot& slot : slots_) {
    if (slot.group != nullptr) {
      slot.group->abandon();
    }
  }
}

// ---- requests
// -------------------------------------------------------------------------------------

void Node::propose(const service::Command& command, service::Done done) {
  Group* const here = group(command.group);
  if (here != nullptr && here->leads() && failure_.ok() && !forwarder_.has_line(command.group)) {
    here->propose(command, std::move(done), now_ + command.timeout);
    return;
  }
  auto request = std::make_unique<Forwarded>();
  request->kind = ForwardKind::kCommand;
  request->group = command.group;
  request->service = command.service;
  request->session = command.session;
  request->sequence = command.sequence;
  request->key = command.key;
  request->body = std::string(command.body);
  request->deadline = Shell::clock.now() + command.timeout;
  request->done = std::move(done);
  ++Shell::counters.forwarded;
  forwarder_.start(std::move(request));
}

void Node::query(const service::Query& query, service::Done done) {
  forward_read(ForwardKind::kQuery, query, std::move(done));
}

void Node::heartbeat(const service::Query& beat, service::Done done) {
  forward_read(ForwardKind::kHeartbeat, beat, std::move(done));
}

void Node::forward_read(ForwardKind kind, const service::Query& query, service::Done done) {
  auto request = std::make_unique<Forwarded>();
  request->kind = kind;
  request->group = query.group;
  request->service = query.service;
  request->mode = query.mode;
  request->body = std::string(query.body);
  request->deadline = Shell::clock.now() + query.timeout;
  request->done = std::move(done);
  forwarder_.start(std::move(request));
}

void Node::take_back(GroupId id, const service::BatchCommand& command, service::Done done,
                     TakenBack how) {
  auto request = std::make_unique<Forwarded>();
  request->kind = ForwardKind::kCommand;
  request->group = id;
  request->service = command.service;
  request->session = command.session;
  request->sequence = command.sequence;
  request->key = command.key;
  request->body = std::string(command.body);
  request->deadline = how.deadline;
  request->done = std::move(done);
  ++Shell::counters.forwarded;
  forwarder_.take_back(std::move(request), how.first);
}

service::LocalRead Node::read_here(GroupId id, service::ServiceId service, service::ReadMode mode) {
  Group* const here = group(id);
  return here == nullptr || !failure_.ok() ? service::LocalRead{} : here->read_here(service, mode);
}

GroupId Node::group_of_slot(uint16_t slot) const {
  ASSERT(slot < kSlots && identity_.groups > 0);
  return GroupId(1 + share_of_slot(slot, identity_.groups));
}

bool Node::serve_here(Forwarded& request) {
  Group* const here = group(request.group);
  if (here == nullptr || !failure_.ok()) {
    return false;
  }
  if (request.kind == ForwardKind::kCommand) {
    if (!here->leads()) {
      return false;
    }
    here->propose({request.group,
                   request.service,
                   request.session,
                   request.sequence,
                   request.body,
                   {},
                   request.key},
                  std::move(request.done), request.deadline);
    return true;
  }
  // Another replica's linearizable answer needs the leader either way: let the leader answer.
  const bool is_beat = request.kind == ForwardKind::kHeartbeat;
  if ((is_beat || request.mode.consistency == service::Consistency::kLinearizable) &&
      !here->leads()) {
    return false;
  }
  WaitingRead read;
  read.service = request.service;
  read.body = std::move(request.body);
  read.done = std::move(request.done);
  read.deadline = request.deadline;
  if (is_beat) {
    here->heartbeat(std::move(read));
  } else {
    here->query(std::move(read), request.mode);
  }
  return true;
}

bool Node::outcome_open(GroupId id) {
  const Group* const here = group(id);
  return here != nullptr && here->outcome_open();
}

void Node::overtake(GroupId id) {
  if (Group* const here = group(id); here != nullptr) {
    here->overtake();
  }
}

NodeId Node::leader_of(GroupId id) {
  const Group* const here = group(id);
  return here == nullptr ? NodeId() : here->raft().leader();
}

std::vector<NodeId> Node::holders_of(GroupId id) {
  // Every replica can name the leader. A replica here that is still empty, or that the group has
  // let go, knows less than the map, which every node has.
  const Group* const here = group(id);
  std::vector<NodeId> holders;
  if (here != nullptr) {
    holders = here->raft().config().voters;
  }
  for (const NodeId node : routes_ ? routes_(id) : std::vector<NodeId>()) {
    if (std::find(holders.begin(), holders.end(), node) == holders.end()) {
      holders.push_back(node);
    }
  }
  return holders.empty() ? peers_ : holders;
}

void Node::call(NodeId target, std::string request, Duration timeout,
                UniqueFunction<void(const Status&, std::string_view)> done) {
  calls_.call(target, request, timeout, std::move(done));
  schedule_turn();
}

void Node::on_call(NodeId, std::string_view bytes, rpc::Calls::Answer answer) {
  Result<Forwarded> decoded = decode_request(bytes, Shell::clock.now());
  if (!decoded.ok()) {
    ++Shell::counters.messages_bad;
    answer(encode_answer({decoded.status(), {}, {}, {}}));
    return;
  }
  ++Shell::counters.forwarded_served;
  Forwarded& request = *decoded;
  // Shared by the two ways in which it can be answered; exactly one of them happens.
  auto reply = std::make_shared<rpc::Calls::Answer>(std::move(answer));
  const GroupId id = request.group;
  request.done = [reply](const Status& status, std::string_view bytes_out,
                         const service::Origin& origin) {
    (*reply)(encode_answer({status, {}, origin, bytes_out}));
  };
  if (!serve_here(request)) {
    const service::Origin origin{id, {}, {}, options_.id};
    (*reply)(encode_answer({Status(Code::kNotLeader, "this node does not lead the group"),
                            leader_of(id),
                            origin,
                            {}}));
  }
}

// ---- frames
// ---------------------------------------------------------------------------------------

void Node::on_frame(NodeId from, std::string_view bytes) {
  now_ = Shell::clock.now();
  const Buffer frame = Buffer::copy(bytes);
  rpc::FrameReader reader(frame);
  // So many at a time: a frame may have millions of empty ones.
  constexpr size_t kItemsAtOnce = 256;
  std::vector<rpc::Item> items = std::exchange(items_, {});
  do {
    items.clear();
    for (rpc::Item item; items.size() < kItemsAtOnce && reader.next(item);) {
      items.push_back(std::move(item));
    }
    for (size_t i = 0; i < items.size(); ++i) {
      if (items.size() >= kWorthFetching) {
        const auto at = [&](size_t n) {
          return n < items.size() ? group(items[n].group) : nullptr;
        };
        look_ahead(at(i + kNear), at(i + kFar));
      }
      on_item(from, items[i]);
    }
  } while (items.size() == kItemsAtOnce);
  items.clear();
  items_ = std::move(items);
  if (!reader.ok()) {
    ++Shell::counters.messages_bad;
  }
  schedule_turn();
}

void Node::on_item(NodeId from, const rpc::Item& item) {
  switch (item.kind) {
    case rpc::ItemKind::kRaft: on_raft_message(from, item.group, item.bytes); break;
    case rpc::ItemKind::kRequest: calls_.on_request(from, item.bytes.view()); break;
    case rpc::ItemKind::kAnswer: calls_.on_answer(from, item.bytes.view()); break;
    case rpc::ItemKind::kFounding: on_founding(from, item.bytes.view()); break;
    case rpc::ItemKind::kHeartbeat: on_heartbeat(from, item.bytes.view()); break;
    default: ++Shell::counters.messages_bad; break;
  }
}

void Node::on_heartbeat(NodeId from, std::string_view bytes) {
  // A node that is about to join knows nobody; it answers who calls, and so shows that it is there.
  const Group* const meta = group(GroupId(0));
  const bool knows_nobody = meta != nullptr && meta->raft().config().voters.empty();
  if (knows_nobody && peers_.size() < limits::kNodesMax &&
      std::find(peers_.begin(), peers_.end(), from) == peers_.end()) {
    peers_.push_back(from);
  }
  switch (liveness_.on_beat(from, bytes, now_)) {
    case rpc::Heard::kSame: break;
    case rpc::Heard::kMalformed: ++Shell::counters.messages_bad; break;
    case rpc::Heard::kReturned:
    case rpc::Heard::kRestarted: on_peer_changed(from); break;
  }
}

void Node::on_raft_message(NodeId from, GroupId id, const Buffer& bytes) {
  Group* const here = group(id);
  if (here == nullptr) {
    return;  // a replica that placement has not made yet, or has removed
  }
  Result<raft::Message> message = raft::decode_message(bytes);
  if (!message.ok()) {
    ++Shell::counters.messages_bad;
    return;
  }
  message->from = from;
  message->to = options_.id;
  ++Shell::counters.messages_received;
  here->step(std::move(*message), now_);
}

void Node::send(GroupId id, const raft::Message& message) {
  ++Shell::counters.messages_sent;
  outbox_.add(message.to, id, rpc::ItemKind::kRaft,
              [&message](std::string& out) { raft::encode(message, out); });
}

void Node::on_link(NodeId peer, bool up) {
  now_ = Shell::clock.now();
  if (!up) {
    calls_.on_link_down(peer);
  }
  for (Slot& slot : slots_) {
    if (slot.group != nullptr) {
      slot.group->on_link(peer, up, now_);
    }
  }
}

void Node::set_peer(NodeId peer, const std::string& address) {
  if (std::find(peers_.begin(), peers_.end(), peer) == peers_.end()) {
    peers_.push_back(peer);
  }
  world_.net.set_peer(peer, address);
}

void Node::remove_peer(NodeId peer) {
  std::erase(peers_, peer);
  liveness_.forget(peer);
  world_.net.remove_peer(peer);
}

bool Node::peer_alive(NodeId peer) const {
  return peer == options_.id || liveness_.alive(peer, Shell::clock.now());
}

// ---- replicas
// -------------------------------------------------------------------------------------

Group* Node::group(GroupId id) {
  return id.value() < slots_.size() ? slots_[id.value()].group.get() : nullptr;
}

const Group* Node::group(GroupId id) const {
  return id.value() < slots_.size() ? slots_[id.value()].group.get() : nullptr;
}

std::vector<GroupId> Node::group_ids() const {
  std::vector<GroupId> ids;
  for (uint32_t g = 0; g < slots_.size(); ++g) {
    if (slots_[g].group != nullptr) {
      ids.push_back(GroupId(g));
    }
  }
  return ids;
}

void Node::create_group(GroupId id) {
  if (id.value() >= slots_.size()) {
    slots_.resize(id.value() + 1);
  }
  // While the cluster is being founded nobody can have asked for a replica.
  if (slots_[id.value()].group != nullptr || founding_) {
    return;
  }
  // There may have been a replica of this group here before, whose votes are forgotten: this one
  // votes only when a leader has brought it up to date. If that cannot be written down, the caller
  // asks again.
  if (!set_suspect(id, true).ok()) {
    return;
  }
  raft::Restored empty;
  empty.tail_suspect = true;
  mark_dirty(add_group(id, {std::move(empty), new_machine(id), Stamp()}));
}

void Node::destroy_group(GroupId id) {
  Slot& slot = slots_[id.value()];
  if (slot.group == nullptr) {
    return;
  }
  Group* const gone = slot.group.get();
  gone->abandon();
  std::erase(dirty_, gone);
  deactivate(*gone);
  std::erase(held_, gone);
  std::replace(turning_.begin(), turning_.end(), gone, static_cast<Group*>(nullptr));
  std::replace(settling_.begin(), settling_.end(), gone, static_cast<Group*>(nullptr));
  slot.group.reset();
  wal_->remove_group(id);
  snapshots_->remove_group(id);
  // Until the removal is durable a crash brings the replica back, and it must come back as the
  // suspect that it was. So its mark goes last; a mark too many does no harm.
  wal_->flush([this, id, birth = slot.birth, alive = alive_](const Status& status) {
    if (*alive && status.ok()) {
      gone_.emplace_back(id, birth);
      clear_marks_of_gone();
    }
  });
  schedule_turn();
}

bool Node::begin_snapshot() {
  if (snapshotting_) {
    return false;
  }
  snapshotting_ = true;
  return true;
}

void Node::fail(const Status& status) {
  ASSERT(!status.ok());
  if (failure_.ok()) {
    failure_ = status;
  }
}

void Node::give_up_leadership() {
  for (Slot& slot : slots_) {
    if (slot.group == nullptr || !slot.group->leads()) {
      continue;
    }
    const std::vector<raft::PeerView> peers = slot.group->raft().peers();
    const raft::PeerView* best = nullptr;
    for (const raft::PeerView& peer : peers) {
      const bool able = peer.active && !peer.learner && !peer.witness && peer.node != options_.id;
      if (able && (best == nullptr || best->match < peer.match)) {
        best = &peer;
      }
    }
    if (best != nullptr) {
      (void)slot.group->transfer(best->node);
    }
  }
}

size_t Node::led_groups() const {
  return static_cast<size_t>(std::count_if(slots_.begin(), slots_.end(), [](const Slot& slot) {
    return slot.group != nullptr && slot.group->leads();
  }));
}

void Node::check_invariants() const {
  for (const Slot& slot : slots_) {
    if (slot.group != nullptr) {
      slot.group->raft().check_invariants();
    }
  }
}

}  // namespace quorate::node
