// SPDX-License-Identifier: Apache-2.0
#include "sim/run.h"

#include <sstream>

#include "sim/check/observer.h"
#include "sim/nemesis.h"
#include "sim/workloads/documents.h"
#include "sim/workloads/locks.h"
#include "sim/workloads/registers.h"
#include "sim/workloads/store.h"

namespace quorate::sim {
namespace {

constexpr Duration kHealStep = Duration::millis(100);
constexpr Duration kLastReadsMax = Duration::seconds(20);

class Simulation {
 public:
  Simulation(const Plan& plan, uint64_t seed, const RunOptions& options)
      : plan_(plan),
        world_(mix64(seed ^ hash64_of(plan.name))),
        tracing_(world_, options),
        cluster_(world_, plan_),
        observer_(cluster_),
        nemesis_(cluster_),
        registers_(cluster_),
        locks_(cluster_),
        documents_(cluster_),
        store_(cluster_) {
    world_.set_after_event([this](LifeId life) { after_event(life); });
  }
  ~Simulation() { world_.set_after_event(nullptr); }

  [[nodiscard]] std::string run() {
    for (const NodeId id : cluster_.ids()) {
      world_.after(world_.between(Duration(), Duration::millis(200)),
                   [this, id] { cluster_.start(id); });
    }
    registers_.start();
    locks_.start();
    documents_.start();
    store_.start();
    nemesis_.start();
    world_.run_until(Instant() + plan_.duration);
    if (broken().empty()) {
      registers_.stop();
      locks_.stop();
      documents_.stop();
      store_.stop();
      nemesis_.stop();
      heal();
    }
    if (broken().empty()) {
      last_reads();
    }
    cluster_.harvest_all();
    if (!broken().empty()) {
      return broken();
    }
    const std::string story = store_.check();
    return story.empty() ? registers_.check() : story;
  }

  void fill(Report& report) const {
    report.hash = world_.hash();
    report.events = world_.events();
    report.operations = registers_.operations() + store_.operations();
    report.answered = registers_.answered() + store_.answered();
    report.unknown = registers_.unknown();
    report.undecided = registers_.undecided();
    report.faults = nemesis_.injected();
    report.committed = observer_.committed();
    report.simulated = world_.now() - Instant();
    report.counts = {world_.counts().begin(), world_.counts().end()};
    report.timeline = world_.kept_lines();
  }

 private:
  struct Tracing {
    Tracing(World& world, const RunOptions& options) {
      world.set_tracing(options.print_timeline, options.keep_lines);
    }
  };

  static uint64_t hash64_of(const std::string& text) {
    uint64_t hash = 0;
    for (const char c : text) {
      hash = mix64(hash ^ static_cast<unsigned char>(c));
    }
    return hash;
  }

  void after_event(LifeId life) {
    const NodeId id = cluster_.node_of(life);
    if (!id.none()) {
      if (cluster_.speaks(id)) {
        observer_.look(id);
        locks_.after_event(id);
        store_.after_event(id);
      }
      cluster_.after_event(life);
    }
  }

  void heal() {
    const Instant limit = world_.now() + plan_.heal;
    std::string why = "?";
    while (world_.now() < limit && broken().empty() && !why.empty()) {
      world_.run_until(world_.now() + kHealStep);
      why = observer_.differences();
    }
    if (!why.empty() && broken().empty()) {
      failure_ = "not healed " + show(plan_.heal) + " after the last fault: " + why;
    }
  }

  void last_reads() {
    registers_.finish();
    const Instant limit = world_.now() + kLastReadsMax;
    while (world_.now() < limit && broken().empty() && !idle()) {
      world_.run_until(world_.now() + kHealStep);
    }
    if (!locks_.idle() && broken().empty()) {
      failure_ = "a healed cluster keeps locks: " + locks_.unfinished();
    }
    if (!documents_.idle() && broken().empty()) {
      failure_ = "a healed cluster does not show its documents: " + documents_.unfinished();
    }
    if (!store_.idle() && broken().empty()) {
      failure_ = "a healed cluster leaves the store's clients waiting: " + store_.unfinished();
    }
    if (!registers_.idle() && broken().empty()) {
      failure_ = "a healed cluster does not answer: " + registers_.unfinished();
    }
    const std::string why = observer_.differences();
    if (!why.empty() && broken().empty()) {
      world_.run_until(world_.now() + Duration::seconds(2));
      const std::string still = observer_.differences();
      failure_ = still.empty() ? failure_ : "after the last reads: " + still;
    }
  }

  [[nodiscard]] bool idle() {
    return registers_.idle() && locks_.idle() && documents_.idle() && store_.idle();
  }

  [[nodiscard]] const std::string& broken() const {
    if (!failure_.empty()) {
      return failure_;
    }
    if (!observer_.breach().empty()) {
      return observer_.breach();
    }
    if (!locks_.complaint().empty()) {
      return locks_.complaint();
    }
    if (!documents_.complaint().empty()) {
      return documents_.complaint();
    }
    if (!store_.complaint().empty()) {
      return store_.complaint();
    }
    return !registers_.complaint().empty() ? registers_.complaint() : cluster_.complaint();
  }

  const Plan& plan_;
  World world_;
  Tracing tracing_;
  Cluster cluster_;
  Observer observer_;
  Nemesis nemesis_;
  Registers registers_;
  Locks locks_;
  Documents documents_;
  Store store_;
  std::string failure_;
};

}  // namespace

Report run(const Plan& plan, uint64_t seed, const RunOptions& options) {
  Report report;
  report.plan = plan.name;
  report.seed = seed;
  Simulation simulation(plan, seed, options);
  report.failure = simulation.run();
  simulation.fill(report);
  return report;
}

std::string encode(const Report& report) {
  std::ostringstream out;
  out << report.plan << ' ' << report.seed << ' ' << report.hash << ' ' << report.events << ' '
      << report.operations << ' ' << report.answered << ' ' << report.unknown << ' '
      << report.undecided << ' ' << report.faults << ' ' << report.committed << ' '
      << report.simulated.nanos() << ' ' << report.counts.size();
  for (const auto& [path, times] : report.counts) {
    out << ' ' << path << ' ' << times;
  }
  out << ' ' << report.failure.size() << ' ' << report.failure;
  return out.str();
}

bool decode(const std::string& line, Report& report) {
  std::istringstream in(line);
  int64_t nanos = 0;
  size_t counts = 0;
  in >> report.plan >> report.seed >> report.hash >> report.events >> report.operations >>
      report.answered >> report.unknown >> report.undecided >> report.faults >>
      report.committed >> nanos >> counts;
  report.simulated = Duration::nanos(nanos);
  for (size_t i = 0; i < counts && in; ++i) {
    std::string path;
    uint64_t times = 0;
    in >> path >> times;
    report.counts[path] = times;
  }
  size_t size = 0;
  in >> size;
  in.get();
  if (!in && size > 0) {
    return false;
  }
  report.failure.resize(size);
  in.read(report.failure.data(), static_cast<std::streamsize>(size));
  return static_cast<size_t>(in.gcount()) == size;
}

}  // namespace quorate::sim
