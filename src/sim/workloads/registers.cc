// SPDX-License-Identifier: Apache-2.0
#include "sim/workloads/registers.h"

#include <algorithm>

#include "service/sessions.h"
#include "sim/workloads/register_machine.h"

namespace quorate::sim {
namespace {

constexpr service::ServiceId kService = service::ServiceId::kCache;
// The node's own timeout comes first; this one is for nodes that died or sleep.
constexpr int64_t kPatiencePerMille = 1250;
constexpr Duration kGiveUpAfter = Duration::seconds(8);
constexpr Duration kSessionTtl = Duration::seconds(3600);
constexpr Duration kBounds[] = {Duration::millis(50), Duration::millis(300), Duration::seconds(2)};
// How far the clocks that measure a bound may be off, in per mille.
constexpr int64_t kBoundSlackPerMille = 100;

bool is_counter(uint32_t key) { return key % 2 == 1; }

}  // namespace

Registers::Registers(Cluster& cluster)
    : cluster_(cluster),
      world_(cluster.world()),
      prng_(world_.fork_prng()),
      clients_(cluster.plan().clients),
      histories_(cluster.plan().keys),
      padding_(cluster.plan().value_bytes * 2, 'p') {
  for (uint32_t i = 0; i < clients_.size(); ++i) {
    clients_[i].number = i + 1;
  }
}

void Registers::start() {
  for (Client& client : clients_) {
    rest(client);
  }
}

void Registers::rest(Client& client) {
  client.stage = Stage::kResting;
  Duration pause = Duration::nanos(prng_.between(0, 2 * cluster_.plan().think.nanos()));
  const Duration period = Duration::seconds(8);
  const int64_t into = (world_.now() - Instant()).nanos() % period.nanos();
  const int64_t idle = period.nanos() / 100 * static_cast<int64_t>(cluster_.plan().idle_percent);
  if (into < idle && !finishing_) {
    pause = pause + Duration::nanos(idle - into);
  }
  world_.after(pause, [this, &client, operation = client.operation] {
    if (client.operation == operation && client.stage == Stage::kResting) {
      begin(client);
    }
  });
}

void Registers::begin(Client& client) {
  ++client.operation;
  client.final_read = finishing_;
  client.op = Operation{};
  client.op.client = client.number;
  client.mode = {};
  client.may_have_happened = false;
  if (finishing_) {
    if (to_read_.empty()) {
      return;
    }
    client.key = to_read_.back();
    to_read_.pop_back();
  } else if (stopped_) {
    return;
  } else {
    client.key = static_cast<uint32_t>(prng_.below(cluster_.plan().keys));
    if (prng_.chance(cluster_.plan().reads_percent, 100)) {
      choose_read(client);
    } else {
      choose_write(client);
    }
  }
  launch(client);
}

void Registers::choose_read(Client& client) {
  const uint64_t draw = prng_.below(10);
  if (draw < 5) {
    client.mode.consistency = service::Consistency::kLinearizable;
  } else if (draw < 8) {
    client.mode.consistency = service::Consistency::kFollower;
  } else if (draw < 9) {
    client.mode.consistency = service::Consistency::kBounded;
    client.mode.bound = kBounds[prng_.below(std::size(kBounds))];
  } else {
    client.mode.consistency = service::Consistency::kEventual;
  }
}

void Registers::choose_write(Client& client) {
  Operation& op = client.op;
  client.with_session = prng_.chance(7, 8);
  op.argument = next_value_++;
  const uint64_t draw = prng_.below(10);
  if (is_counter(client.key)) {
    op.kind = draw < 9 ? OpKind::kAdd : OpKind::kDelete;
    op.argument = 1;
    return;
  }
  written_[op.argument] = world_.now();
  if (draw < 5) {
    op.kind = OpKind::kWrite;
  } else if (draw < 9) {
    op.kind = OpKind::kCas;
    // What was there lately, as far as this workload can tell.
    const std::vector<Operation>& past = histories_[client.key];
    op.expected = past.empty() || prng_.chance(1, 10) ? kAbsent
                  : past.back().kind == OpKind::kRead ? past.back().result
                                                      : past.back().argument;
  } else {
    op.kind = OpKind::kDelete;
  }
}

void Registers::launch(Client& client) {
  ++operations_;
  client.stage = Stage::kBusy;
  client.op.start = world_.now();
  client.give_up = world_.now() + kGiveUpAfter;
  if (by_session(client)) {
    ++client.sessions[group_of(client.key)].sequence;
  }
  RegisterCommand command;
  command.kind = client.op.kind;
  command.key = client.key;
  command.argument = client.op.argument;
  command.expected = client.op.expected;
  if (client.op.kind != OpKind::kRead) {
    command.padding = std::string_view(padding_).substr(0, prng_.below(padding_.size() + 1));
  }
  client.body = encode(command);
  attempt(client);
}

// Asks a node, as an event of that node's process: a paused one answers late, a dead one never.
void Registers::attempt(Client& client) {
  const uint64_t number = ++client.attempt;
  if (client.node.none() || !cluster_.running(client.node) || prng_.chance(1, 8)) {
    client.node = cluster_.any_door(prng_);
  }
  if (!cluster_.running(client.node)) {
    retry(client);
    return;
  }
  world_.after(cluster_.life(client.node), Duration(), [this, &client, number] {
    if (client.attempt == number && cluster_.speaks(client.node)) {
      send(client, *cluster_.node(client.node));
    }
  });
  world_.after(cluster_.plan().attempt * kPatiencePerMille / 1000, [this, &client, number] {
    if (client.attempt == number) {
      on_failure(client, Status(Code::kUnknownOutcome, "no answer"));
    }
  });
}

void Registers::retry(Client& client) {
  ++client.attempt;
  client.node = NodeId();
  const uint64_t operation = client.operation;
  world_.after(Duration::nanos(prng_.between(1'000'000, 60'000'000)), [this, &client, operation] {
    if (client.operation == operation && client.stage != Stage::kResting) {
      if (world_.now() >= client.give_up && !client.final_read) {
        conclude(client, false);
      } else {
        attempt(client);
      }
    }
  });
}

void Registers::send(Client& client, node::Node& node) {
  const Asked asked{client.attempt, client.node};
  const auto done = [this, &client, asked](const Status& status, std::string_view answer,
                                           const service::Origin& origin) {
    on_answer(client, asked, status, answer, origin);
  };
  const GroupId group = group_of(client.key);
  if (client.op.kind == OpKind::kRead) {
    service::Query query;
    query.group = group;
    query.service = kService;
    query.mode = client.mode;
    query.body = client.body;
    query.timeout = cluster_.plan().attempt;
    node.query(query, done);
    return;
  }
  if (by_session(client) && client.sessions[group].id.none()) {
    send_open(client, node);
    return;
  }
  service::Command command;
  command.group = group;
  command.service = kService;
  if (by_session(client)) {
    command.session = client.sessions[group].id;
    command.sequence = client.sessions[group].sequence;
  }
  command.body = client.body;
  command.timeout = cluster_.plan().attempt;
  node.propose(command, done);
}

void Registers::send_open(Client& client, node::Node& node) {
  const uint64_t number = client.attempt;
  const std::string body = service::encode(service::NodeCommand(service::OpenSession{kSessionTtl}));
  service::Command command;
  command.group = group_of(client.key);
  command.service = service::ServiceId::kNode;
  command.body = body;
  command.timeout = cluster_.plan().attempt;
  const NodeId asked = client.node;
  node.propose(command, [this, &client, number, asked](const Status& status,
                                                       std::string_view answer,
                                                       const service::Origin&) {
    if (cluster_.speaks(asked)) {
      on_opened(client, number, status, answer);
    }
  });
}

void Registers::on_opened(Client& client, uint64_t attempt, const Status& status,
                          std::string_view answer) {
  if (client.attempt != attempt) {
    return;
  }
  if (status.ok()) {
    const Result<service::SessionLease> lease = service::decode_session_lease(answer);
    if (lease.ok()) {
      Session& session = client.sessions[group_of(client.key)];
      session.id = lease->id;
      session.sequence = 1;
    }
  }
  // A session that was opened unheard is simply never used.
  retry(client);
}

void Registers::on_answer(Client& client, const Asked& asked, const Status& status,
                          std::string_view answer, const service::Origin& origin) {
  if (client.attempt != asked.attempt || !cluster_.speaks(asked.node)) {
    return;
  }
  if (status.ok()) {
    on_value(client, asked.node, answer, origin);
  } else {
    on_failure(client, status);
  }
}

void Registers::on_failure(Client& client, const Status& status) {
  const Retry advice = row_of(status.code()).retry;
  if (world_.tracing()) {
    world_.trace(NodeId(), "c" + std::to_string(client.number) + " n" +
                               std::to_string(client.node.value()) + ": " + status.to_string());
  }
  if (advice == Retry::kSafe || client.op.kind == OpKind::kRead) {
    retry(client);
    return;
  }
  client.may_have_happened = true;
  if (advice == Retry::kWithKey && by_session(client)) {
    world_.count("retried_by_session");
    retry(client);
    return;
  }
  if (advice == Retry::kNo) {
    // The session was refused: what became of earlier attempts is not known.
    client.sessions.erase(group_of(client.key));
    world_.count("session_refused");
  }
  conclude(client, false);
}

void Registers::on_value(Client& client, NodeId asked, std::string_view bytes,
                         const service::Origin& origin) {
  const Result<RegisterAnswer> answer = decode_register_answer(bytes);
  if (!answer.ok()) {
    complain("c" + std::to_string(client.number) + " got a strange answer: " +
             answer.status().to_string());
    return;
  }
  client.op.ok = answer->ok;
  client.op.result = answer->value;
  ++answered_;
  if (world_.tracing()) {
    client.op.end = world_.now();
    world_.trace(asked, "key " + std::to_string(client.key) + " " + show(client.op));
  }
  if (client.mode.consistency == service::Consistency::kEventual) {
    check_eventual(client, asked, origin);
    rest(client);
    return;
  }
  if (client.mode.consistency == service::Consistency::kBounded) {
    const int64_t bound = client.mode.bound.nanos() / 1000 * (1000 + kBoundSlackPerMille);
    client.op.start = Instant::from_nanos(std::max<int64_t>(0, client.op.start.nanos() - bound));
    world_.count("bounded_read");
  }
  conclude(client, true);
}

void Registers::conclude(Client& client, bool known) {
  ++client.attempt;
  client.op.unknown = !known;
  client.op.end = world_.now();
  if (!known && client.op.kind == OpKind::kRead) {
    rest(client);
    return;
  }
  if (!known) {
    ++unknown_;
    world_.count("unknown_outcome");
  }
  histories_[client.key].push_back(client.op);
  rest(client);
}

void Registers::check_eventual(const Client& client, NodeId asked, const service::Origin& origin) {
  world_.count("eventual_read");
  if (!is_counter(client.key) && client.op.result != kAbsent) {
    const auto it = written_.find(client.op.result);
    if (it == written_.end()) {
      complain("an eventual read saw a value that nobody wrote: " + show(client.op));
    }
  }
  const GroupId group = group_of(client.key);
  if (origin.node == asked) {
    Index& seen = seen_index_[{cluster_.life(asked), group, cluster_.birth(asked, group)}];
    if (origin.index < seen) {
      complain("eventual reads of one process went back in time: " + show(client.op));
    }
    seen = origin.index;
  }
}

void Registers::finish() {
  stopped_ = true;
  finishing_ = true;
  for (uint32_t key = 0; key < cluster_.plan().keys; ++key) {
    to_read_.push_back(key);
  }
  for (Client& client : clients_) {
    // Whoever rests for good is woken; a busy client comes by itself.
    if (client.stage == Stage::kResting) {
      begin(client);
    }
  }
}

bool Registers::idle() const {
  return to_read_.empty() &&
         std::all_of(clients_.begin(), clients_.end(),
                     [](const Client& c) { return c.stage == Stage::kResting; });
}

std::string Registers::unfinished() const {
  for (const Client& client : clients_) {
    if (client.stage != Stage::kResting) {
      return "c" + std::to_string(client.number) + " still waits, register " +
             std::to_string(client.key) + ": " + show(client.op);
    }
  }
  return "";
}

std::string Registers::check() {
  // Whoever still waits has an operation whose outcome is not known.
  for (Client& client : clients_) {
    if (client.stage == Stage::kBusy && client.op.kind != OpKind::kRead) {
      client.op.unknown = true;
      histories_[client.key].push_back(client.op);
      client.stage = Stage::kResting;
    }
  }
  for (uint32_t key = 0; key < histories_.size(); ++key) {
    const Verdict verdict = check_linearizable(histories_[key]);
    if (verdict.kind == Verdict::Kind::kViolated) {
      return "register " + std::to_string(key) + " of group " +
             std::to_string(group_of(key).value()) + ": " + verdict.story;
    }
    undecided_ += verdict.kind == Verdict::Kind::kUndecided ? 1 : 0;
  }
  return "";
}

void Registers::complain(const std::string& text) {
  if (complaint_.empty()) {
    complaint_ = text;
    world_.trace(NodeId(), "COMPLAINT " + text);
    world_.stop();
  }
}

}  // namespace quorate::sim
