// SPDX-License-Identifier: Apache-2.0
#include "sim/workloads/locks.h"

#include <algorithm>
#include <utility>

namespace quorate::sim {
namespace {

namespace lock = service::lock;

constexpr Duration kLookInterval = Duration::millis(10);
// Beyond what a wait may last: by then its client gives it up for lost.
constexpr Duration kPatience = Duration::seconds(2);
// How long a deadlock may last on a healthy cluster.
constexpr Duration kDeadlockMax = Duration::millis(100);
constexpr std::string_view kSemaphore = "permits";
constexpr uint64_t kPermits = 3;

bool is_exclusive(lock::Mode mode) { return mode == lock::Mode::kExclusive; }

void add_waits(GroupId group, const lock::State& state, lock::Knot& knot) {
  std::vector<lock::Ticket> tickets;
  state.tickets_after(lock::Ticket(), tickets);
  for (const lock::Ticket ticket : tickets) {
    lock::WaitEdges edges;
    if (state.edges_of(ticket, edges)) {
      knot.add(lock::knot_wait(group, edges));
    }
  }
}

}  // namespace

Locks::Locks(Cluster& cluster)
    : cluster_(cluster),
      world_(cluster.world()),
      prng_(cluster.plan().lock_clients == 0 ? Prng(1) : world_.fork_prng()),
      fenced_(world_),
      clients_(cluster.plan().lock_clients) {
  for (uint32_t i = 0; i < clients_.size(); ++i) {
    clients_[i].number = i + 1;
  }
}

void Locks::start() {
  for (Client& client : clients_) {
    rest(client);
  }
  if (!clients_.empty()) {
    look();
  }
}

void Locks::rest(Client& client) {
  client.resting = true;
  client.held.clear();
  client.parted.clear();
  client.valid.clear();
  ++client.session;
  ++client.step;
  world_.after(Duration::nanos(prng_.between(0, 2 * cluster_.plan().think.nanos())),
               [this, &client] {
                 if (client.resting && !stopped_) {
                   begin(client);
                 }
               });
}

void Locks::begin(Client& client) {
  client.resting = false;
  client.owner = "c" + std::to_string(client.number) + "." + std::to_string(client.session);
  client.lease = Duration::millis(prng_.between(1'000, 3'000));
  client.steps_left = static_cast<int>(prng_.between(1, 4));
  client.silent = false;
  client.node = cluster_.any_door(prng_);
  beat(client, client.session);
  step(client);
}

LockDoor* Locks::door(Client& client) {
  if (!cluster_.running(client.node) || cluster_.is_paused(client.node)) {
    client.node = cluster_.any_door(prng_);
  }
  return cluster_.running(client.node) && !cluster_.is_paused(client.node)
             ? cluster_.locks(client.node)
             : nullptr;
}

// ---- leases ------------------------------------------------------------------------------------

void Locks::beat(Client& client, uint64_t session) {
  if (client.session != session || client.resting || client.silent) {
    return;
  }
  world_.after(client.lease / 4, [this, &client, session] { beat(client, session); });
  LockDoor* const via = door(client);
  for (const auto& [domain, until] : client.valid) {
    if (via == nullptr) {
      return;
    }
    via->api().heartbeat({lock::DomainId(domain), client.owner}, nullptr,
                         [this, &client, session, domain = domain, sent = world_.now()](
                             const lock::Answer& answer, const service::Origin&) {
                           if (client.session == session) {
                             on_beat(client, domain, sent, answer);
                           }
                         });
  }
}

void Locks::on_beat(Client& client, uint32_t domain, Instant sent, const lock::Answer& answer) {
  const Status* const refusal = std::get_if<Status>(&answer);
  if (refusal != nullptr && refusal->code() != Code::kLeaseLost) {
    return;
  }
  if (refusal != nullptr) {
    std::erase_if(client.held, [&](const Held& held) { return held.key.first == domain; });
    given_.lost(client.owner, domain, sent);
    world_.count("lock_owner_lost");
    return;
  }
  world_.count("lock_heartbeat");
  renew(client, domain, sent);
  for (const Held& held : client.held) {
    if (held.key.first == domain) {
      check_belief(client, held);
    }
  }
}

// A lease that has run out stays so: the owner that is alive by a later answer may be another of
// the same name, which the client's own acquire has made since.
void Locks::renew(Client& client, uint32_t domain, Instant sent) {
  Instant& until = client.valid[domain];
  if (world_.now() >= until) {
    std::erase_if(client.held, [&](const Held& held) { return held.key.first == domain; });
  }
  until = std::max(until, sent + client.lease);
}

bool Locks::believes(const Client& client, const Held& held) const {
  const auto until = client.valid.find(held.key.first);
  return !client.resting && until != client.valid.end() && world_.now() < until->second;
}

void Locks::check_belief(const Client& client, const Held& held) {
  if (!believes(client, held)) {
    return;
  }
  for (const Client& other : clients_) {
    for (const Held& theirs : other.held) {
      const bool excludes = is_exclusive(held.mode) || is_exclusive(theirs.mode);
      if (&other != &client && theirs.key == held.key && excludes && believes(other, theirs)) {
        complain(client.owner + " and " + other.owner + " both hold " + held.key.second +
                 " of domain " + std::to_string(held.key.first));
      }
    }
  }
}

// ---- steps -------------------------------------------------------------------------------------

void Locks::step(Client& client) {
  const uint64_t step = ++client.step;
  if (stopped_ || client.steps_left-- <= 0) {
    prng_.chance(1, 6) ? abandon(client) : give_back(client);
    return;
  }
  world_.after(Duration::nanos(prng_.between(0, cluster_.plan().think.nanos())),
               [this, &client, step] {
                 if (client.step == step) {
                   use(client);
                 }
               });
}

void Locks::write(Client& client) {
  LockDoor* const via = door(client);
  for (const Held& held : client.held) {
    if (via != nullptr && held.mode == lock::Mode::kExclusive && prng_.chance(1, 2)) {
      fenced_.write(*via, held.key, held.token);
    }
  }
}

// One of those that it has; as soon as that is answered it asks for another, so that whoever waited
// for the first goes on at the moment in which the client begins to wait. Not before: an owner that
// waits gives nothing back.
void Locks::part_with_one(Client& client) {
  LockDoor* const via = door(client);
  if (via == nullptr) {
    go_on(client);
    return;
  }
  const size_t at = prng_.below(client.held.size());
  const Held held = client.held[at];
  const lock::OwnerRef who{lock::DomainId(held.key.first), client.owner};
  const uint64_t step = ++client.step;
  client.held.erase(client.held.begin() + static_cast<std::ptrdiff_t>(at));
  client.parted.insert(held.key);
  via->api().write(who.domain, lock::Release{who, held.key.second, 0, held.token},
                   {.timeout = Duration::seconds(1)},
                   [this, &client, step](const lock::Answer& answer, const service::Origin&) {
                     if (client.step == step && std::holds_alternative<lock::Released>(answer)) {
                       world_.count("lock_parted_with");
                       go_on(client);
                     }
                   });
  world_.after(kPatience, [this, &client, step] {
    if (client.step == step) {
      give_back(client);  // what became of it is not known
    }
  });
}

void Locks::use(Client& client) {
  write(client);
  if (!client.held.empty() && prng_.chance(1, 3)) {
    part_with_one(client);
  } else {
    go_on(client);
  }
}

void Locks::go_on(Client& client) {
  const auto shared = std::find_if(client.held.begin(), client.held.end(), [](const Held& held) {
    return held.mode == lock::Mode::kShared;
  });
  if (shared != client.held.end() && prng_.chance(1, 4)) {
    client.is_upgrade = true;
    client.names = {shared->key.second};
    client.asked = {};
    client.asked.who = {lock::DomainId(shared->key.first), client.owner};
    client.asked.items = {{.name = client.names.front()}};
  } else {
    choose(client);
  }
  ask(client, prng_.chance(1, 5) ? Duration() : Duration::millis(prng_.between(200, 3'000)));
}

void Locks::choose(Client& client) {
  const Plan& plan = cluster_.plan();
  client.is_upgrade = false;
  client.names.clear();
  client.asked = {};
  const auto domain = static_cast<uint32_t>(prng_.below(plan.lock_domains));
  client.asked.who = {lock::DomainId(domain), client.owner};
  client.asked.lease = client.lease;
  const size_t count = prng_.chance(1, 4) ? 2 : 1;
  for (int tries = 0; tries < 8 && client.names.size() < count; ++tries) {
    const std::string name = prng_.chance(1, 8) ? std::string(kSemaphore)
                                                : "lock-" + std::to_string(prng_.below(plan.locks));
    const bool is_had = client.parted.contains(LockKey(domain, name)) ||
                        std::any_of(client.held.begin(), client.held.end(), [&](const Held& held) {
                          return held.key == LockKey(domain, name);
                        });
    if (!is_had &&
        std::find(client.names.begin(), client.names.end(), name) == client.names.end()) {
      client.names.push_back(name);
    }
  }
  for (const std::string& name : client.names) {
    lock::Acquire::Item item{.name = name};
    if (name == kSemaphore) {
      item.mode = lock::Mode::kPermits;
      item.permits = 1 + prng_.below(2);
      item.limit = kPermits;
    } else if (prng_.chance(2, 5)) {
      item.mode = lock::Mode::kShared;
    }
    client.asked.items.push_back(item);
  }
}

void Locks::ask(Client& client, Duration wait) {
  LockDoor* const via = door(client);
  if (client.asked.items.empty() || via == nullptr) {
    step(client);
    return;
  }
  const uint64_t step = ++client.step;
  client.sent = world_.now();
  client.queued = Instant::never();
  client.overtakers.clear();
  client.floors.clear();
  const uint32_t domain = client.asked.who.domain.value();
  for (const std::string& name : client.names) {
    client.floors[LockKey(domain, name)] = told_[LockKey(domain, name)].greatest;
  }
  client.valid.try_emplace(domain, Instant());
  client.asked.wait = wait;
  lock::Command command = client.asked;
  if (client.is_upgrade) {
    command = lock::Upgrade{client.asked.who, client.names.front(), wait};
  }
  world_.count("lock_asked");
  const uint64_t id =
      via->api().wait(client.asked.who, command, {.timeout = Duration::seconds(1)},
                      [this, &client, step](const Status& status, const lock::Acquired& acquired,
                                            const service::Origin&) {
                        if (client.step == step) {
                          on_answer(client, status, acquired);
                        }
                      });
  const bool leaves = prng_.chance(1, 10);
  const Duration patience = leaves ? Duration::millis(prng_.between(5, 400)) : wait + kPatience;
  world_.after(patience, [this, &client, step, id, leaves, life = cluster_.life(client.node)] {
    if (client.step != step) {
      return;
    }
    if (!leaves && cluster_.plan().faults.empty()) {
      complain(client.owner + " was never told what became of its wait");
    }
    if (cluster_.running(client.node) && cluster_.life(client.node) == life) {
      cluster_.locks(client.node)->api().give_up(id);
    }
    give_back(client);
  });
}

void Locks::on_answer(Client& client, const Status& status, const lock::Acquired& acquired) {
  if (status.ok()) {
    granted(client, acquired.token);
    return;
  }
  world_.count("lock_" + std::string(row_of(status.code()).name));
  const bool waited = client.queued != Instant::never();
  if (status.code() == Code::kDeadlock && waited && !ever_stuck_.contains(client.owner)) {
    complain(client.owner + " is called deadlocked and never was: " + status.message());
  }
  if (status.code() == Code::kDeadlock) {
    world_.count(waited ? "lock_deadlock_between_domains" : "lock_deadlock_in_domain");
  }
  const bool is_known =
      row_of(status.code()).retry == Retry::kNo && status.code() != Code::kLeaseLost;
  is_known ? step(client) : give_back(client);
}

void Locks::granted(Client& client, Token token) {
  const uint32_t domain = client.asked.who.domain.value();
  const bool is_first = is_given_first(client, token);
  is_first ? check_fair(client, token) : world_.count("lock_entered_again");
  renew(client, domain, client.sent);
  world_.count("lock_granted");
  for (const lock::Acquire::Item& item : client.asked.items) {
    const LockKey key(domain, std::string(item.name));
    if (is_first && token <= client.floors[key]) {
      complain(client.owner + " got a token for " + key.second + " that is not the newest");
    }
    Token& greatest = told_[key].greatest;
    greatest = std::max(greatest, token);
    std::erase_if(client.held, [&](const Held& held) { return held.key == key; });
    client.held.push_back({key, item.mode, token});
    check_belief(client, client.held.back());
  }
  step(client);
}

// False if the client entered what is still its own; whoever waits does not.
bool Locks::is_given_first(const Client& client, Token token) {
  const GroupId group = group_of(client.asked.who.domain.value());
  const Given::Kind kind = given_.note(group, client.asked, token, world_.now());
  const bool is_entered = kind == Given::Kind::kEntered && client.queued == Instant::never();
  if (kind != Given::Kind::kNew && !is_entered) {
    complain(client.owner + " got a token that was given before");
  }
  return kind == Given::Kind::kNew;
}

// Whoever was seen in a queue before this one asked, for what excludes it, has a smaller token.
// The other may hear of its own only later, so both remember.
void Locks::check_fair(const Client& client, Token token) {
  for (const auto& [number, theirs] : client.overtakers) {
    if (theirs < token) {
      complain("c" + std::to_string(number) + " overtook " + client.owner +
               ", who stood in the queue when it asked");
    }
  }
  if (client.is_upgrade) {
    return;
  }
  for (Client& other : clients_) {
    const bool was_before = &other != &client && other.queued != Instant::never() &&
                            other.queued < client.sent && !other.resting &&
                            other.asked.who.domain == client.asked.who.domain;
    const bool excludes =
        was_before &&
        std::any_of(client.asked.items.begin(), client.asked.items.end(), [&](const auto& mine) {
          return std::any_of(
              other.asked.items.begin(), other.asked.items.end(), [&](const auto& theirs) {
                return mine.name == theirs.name &&
                       (mine.mode != lock::Mode::kShared || theirs.mode != lock::Mode::kShared);
              });
        });
    if (excludes) {
      other.overtakers.emplace_back(client.number, token);
    }
  }
}

void Locks::give_back(Client& client) {
  if (LockDoor* const via = door(client)) {
    const auto heard_by_nobody = [](const lock::Answer&, const service::Origin&) {};
    // Some by name, and late: whoever lost its lock must not take it from the next one.
    for (const Held& held : client.held) {
      const lock::OwnerRef who{lock::DomainId(held.key.first), client.owner};
      if (prng_.chance(1, 2)) {
        via->api().write(who.domain, lock::Release{who, held.key.second, 0, {}}, {},
                         heard_by_nobody);
      }
    }
    for (const auto& [domain, until] : client.valid) {
      const lock::OwnerRef who{lock::DomainId(domain), client.owner};
      via->api().write(who.domain, lock::Close{who}, {}, heard_by_nobody);
    }
  }
  rest(client);
}

// As if it had died, or slept for longer than its leases and then gave back what it had.
void Locks::abandon(Client& client) {
  world_.count("lock_abandoned");
  client.silent = true;
  const uint64_t step = ++client.step;
  const Duration sleep = client.lease * prng_.between(1, 4);
  world_.after(sleep, [this, &client, step] {
    if (client.step == step) {
      write(client);  // by now mostly somebody else has what it has
      prng_.chance(1, 2) ? give_back(client) : rest(client);
    }
  });
}

// ---- the truth ---------------------------------------------------------------------------------

GroupId Locks::group_of(uint32_t domain) const {
  for (const NodeId id : cluster_.ids()) {
    if (cluster_.running(id)) {
      return cluster_.locks(id)->api().group_of(lock::DomainId(domain));
    }
  }
  return GroupId(1);
}

const lock::State* Locks::newest(GroupId group) {
  const lock::State* newest = nullptr;
  Index applied;
  for (const NodeId id : cluster_.ids()) {
    node::Node* const node = cluster_.node(id);
    if (node == nullptr || node->group(group) == nullptr) {
      continue;
    }
    const service::LocalRead here =
        node->read_here(group, service::ServiceId::kLock,
                        {.consistency = service::Consistency::kEventual, .bound = {}});
    if (here.machine != nullptr && here.origin.index >= applied) {
      applied = here.origin.index;
      newest = service::typed<lock::State>(here.machine);
    }
  }
  return newest;
}

void Locks::after_event(NodeId id) {
  const node::Node* const node = clients_.empty() ? nullptr : cluster_.node(id);
  if (node == nullptr) {
    return;
  }
  uint64_t applied = 0;
  for (uint32_t number = 1; number <= cluster_.plan().groups; ++number) {
    const node::Group* const group = node->group(GroupId(number));
    applied += group == nullptr ? 0 : group->applied().value();
  }
  if (std::exchange(applied_[id], applied) == applied) {
    return;
  }
  lock::Knot knot;
  for (uint32_t number = 1; number <= cluster_.plan().groups; ++number) {
    if (const lock::State* const state = newest(GroupId(number))) {
      add_waits(GroupId(number), *state, knot);
    }
  }
  ever_stuck_.merge(knot.stuck());
}

void Locks::look() {
  if (!fenced_.complaint().empty()) {
    complain(fenced_.complaint());
  }
  lock::Knot knot;
  for (uint32_t number = 1; number <= cluster_.plan().groups; ++number) {
    if (const lock::State* const state = newest(GroupId(number))) {
      look_at(GroupId(number), *state, knot);
    }
  }
  look_at(knot);
  world_.after(kLookInterval, [this] { look(); });
}

void Locks::look_at(GroupId group, const lock::State& state, lock::Knot& knot) {
  std::map<lock::DomainId, lock::Knot> domains;
  std::vector<lock::Ticket> tickets;
  state.tickets_after(lock::Ticket(), tickets);
  for (const lock::Ticket ticket : tickets) {
    lock::WaitEdges edges;
    if (!state.edges_of(ticket, edges)) {
      continue;
    }
    knot.add(lock::knot_wait(group, edges));
    domains[edges.who.domain].add(lock::knot_wait(group, edges));
    const bool is_in_the_way = std::any_of(edges.items.begin(), edges.items.end(),
                                           [](const auto& item) { return !item.blockers.empty(); });
    if (!is_in_the_way) {
      complain(std::string(edges.who.owner) + " stands in a queue for what is free");
    }
    for (Client& client : clients_) {
      if (client.owner == edges.who.owner && client.queued == Instant::never() &&
          client.asked.who.domain == edges.who.domain && !client.resting) {
        client.queued = world_.now();
        world_.count("lock_queued");
      }
    }
  }
  for (const auto& [domain, own] : domains) {
    const std::set<std::string> stuck = own.stuck();
    if (!stuck.empty()) {
      complain("a deadlock within domain " + std::to_string(domain.value()) + ", of " +
               *stuck.begin() + " and others");
    }
  }
}

void Locks::look_at(const lock::Knot& knot) {
  const std::set<std::string> stuck = knot.stuck();
  std::map<std::pair<std::string, uint32_t>, Instant> since;
  for (const std::string& owner : stuck) {
    const std::vector<lock::Knot::Link> cycle = knot.cycle_through(owner, stuck);
    if (cycle.empty()) {
      continue;
    }
    const lock::KnotWait& wait = *cycle.front().wait;
    const std::pair key(owner, static_cast<uint32_t>(wait.ticket.value()));
    const auto found = stuck_since_.find(key);
    since[key] = found == stuck_since_.end() ? world_.now() : found->second;
    if (cluster_.plan().faults.empty() && world_.now() - since[key] > kDeadlockMax) {
      complain("a deadlock is not broken: " + lock::text_of(cycle));
    }
  }
  stuck_since_ = std::move(since);
}

// ---- the end -----------------------------------------------------------------------------------

bool Locks::has_fault(std::string_view kind) const {
  const std::vector<FaultRule>& faults = cluster_.plan().faults;
  return std::any_of(faults.begin(), faults.end(),
                     [&](const FaultRule& rule) { return rule.kind == kind; });
}

bool Locks::idle() { return clients_.empty() || unfinished().empty(); }

// After a wall clock has jumped, the stamps of a group stand still until the clocks have caught up,
// and with them its leases.
std::string Locks::unfinished() {
  for (const Client& client : clients_) {
    if (!client.resting) {
      return client.owner + " has not ended";
    }
  }
  for (uint32_t number = 1; number <= cluster_.plan().groups; ++number) {
    const lock::State* const state = newest(GroupId(number));
    const lock::Usage usage = state == nullptr
                                  ? lock::Usage()
                                  : std::get<lock::Usage>(state->query(lock::Stats{}, Stamp()));
    if (usage.owners + usage.locks != 0 && !has_fault("jump")) {
      return "group " + std::to_string(number) + " keeps " + std::to_string(usage.owners) +
             " owners and " + std::to_string(usage.locks) + " locks of clients that are gone";
    }
  }
  return "";
}

void Locks::complain(const std::string& text) {
  if (complaint_.empty()) {
    complaint_ = text;
    world_.trace(NodeId(), "COMPLAINT " + text);
    world_.stop();
  }
}

}  // namespace quorate::sim
