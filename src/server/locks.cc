// SPDX-License-Identifier: Apache-2.0
#include "server/locks.h"

#include <utility>

#include "service/lock/state.h"

namespace quorate::server {
namespace {

namespace lock = service::lock;

// Waiters hear of their grants without a poll; it is for those whose group has no replica here, and
// for waits that may be deadlocked. A node where nobody waits is not woken at all.
constexpr Duration kPollInterval = Duration::millis(5);

void set(Metrics& metrics, std::string_view name, std::string_view help, uint64_t value) {
  metrics.gauge(name, help).set(static_cast<int64_t>(value));
}

// A counter of the machines led here: it falls when a leadership leaves, as after a restart.
void count(Metrics& metrics, std::string_view name, std::string_view help, uint64_t value) {
  Counter& counter = metrics.counter(name, help);
  counter.add(value - counter.value());
}

}  // namespace

Locks::Locks(node::Node& node, const env::Clock& clock, env::Timer& timer)
    : node_(node), clock_(clock), timer_(timer), api_(node), detector_(node) {
  api_.on_first_wait([this] { wake(); });
  detector_.on_busy([this] { wake(); });
}

void Locks::wake() {
  if (!pumping_) {
    pump();
  }
}

void Locks::pump() {
  pumping_ = true;
  api_.poll();
  detector_.poll(clock_.now());
  pumping_ = api_.waiting() != 0 || detector_.is_busy();
  if (pumping_) {
    timer_.start(clock_.now() + kPollInterval, [this] { pump(); });
  }
}

void Locks::collect(Metrics& metrics) {
  lock::Usage sum;
  for (const GroupId id : node_.group_ids()) {
    const node::Group& group = *std::as_const(node_).group(id);
    const service::LocalRead here =
        node_.read_here(id, service::ServiceId::kLock,
                        {.consistency = service::Consistency::kEventual, .bound = {}});
    const lock::State* const state = service::typed<lock::State>(here.machine);
    if (state == nullptr || !group.leads()) {
      continue;
    }
    const lock::Usage usage = std::get<lock::Usage>(state->query(lock::Stats{}, here.now));
    sum.locks += usage.locks;
    sum.holds += usage.holds;
    sum.waits += usage.waits;
    sum.owners += usage.owners;
    sum.grants += usage.grants;
    sum.queued += usage.queued;
    sum.timed_out += usage.timed_out;
    sum.leases_lost += usage.leases_lost;
    sum.broken += usage.broken;
    sum.deadlocks_detected += usage.deadlocks_detected;
    sum.deadlocks_resolved += usage.deadlocks_resolved;
  }
  const lock::Detector::Counts& probes = detector_.counts();
  count(metrics, "quorate_lock_probes_total", "Searches for deadlocks through several domains.",
        probes.searches);
  count(metrics, "quorate_lock_probes_given_up_total",
        "Searches to which a group gave no answer, or which grew too large.", probes.given_up);
  set(metrics, "quorate_lock_locks", "Locks in use, of groups led here.", sum.locks);
  set(metrics, "quorate_lock_holds", "Holds of locks, of groups led here.", sum.holds);
  set(metrics, "quorate_lock_waits", "Owners that wait, of groups led here.", sum.waits);
  set(metrics, "quorate_lock_owners", "Owners of locks, of groups led here.", sum.owners);
  count(metrics, "quorate_lock_grants_total", "Grants, of groups led here.", sum.grants);
  count(metrics, "quorate_lock_queued_total", "Waits begun, of groups led here.", sum.queued);
  count(metrics, "quorate_lock_timed_out_total", "Waits that timed out, of groups led here.",
        sum.timed_out);
  count(metrics, "quorate_lock_leases_lost_total", "Owners whose lease ended, of groups led here.",
        sum.leases_lost);
  count(metrics, "quorate_lock_broken_total", "Holds that were broken, of groups led here.",
        sum.broken);
  count(metrics, "quorate_lock_deadlocks_detected_total", "Deadlocks, of groups led here.",
        sum.deadlocks_detected);
  count(metrics, "quorate_lock_deadlocks_resolved_total",
        "Deadlocks ended by refusing a wait, of groups led here.", sum.deadlocks_resolved);
}

}  // namespace quorate::server
