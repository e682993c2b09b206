// SPDX-License-Identifier: Apache-2.0
#include "sim/runner.h"

#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>

#include "base/mutant.h"

namespace quorate::sim {
namespace {

using WallClock = std::chrono::steady_clock;

double seconds_since(WallClock::time_point begin) {
  return std::chrono::duration<double>(WallClock::now() - begin).count();
}

void write_all(int fd, const std::string& text) {
  for (size_t done = 0; done < text.size();) {
    const ssize_t n = ::write(fd, text.data() + done, text.size() - done);
    if (n <= 0) {
      return;
    }
    done += static_cast<size_t>(n);
  }
}

// One simulation in a child, and what it wrote so far.
class Worker {
 public:
  Worker(const Plan& plan, uint64_t seed, const RunnerOptions& options) : plan_(plan), seed_(seed) {
    int ends[2];
    ASSERT(::pipe(ends) == 0);
    std::fflush(nullptr);
    child_ = ::fork();
    ASSERT(child_ >= 0);
    if (child_ == 0) {
      ::close(ends[0]);
      // What the child says as it dies (an ASSERT) is part of the report.
      ::dup2(ends[1], STDERR_FILENO);
      // Processor time: a busy machine makes no loop of a seed that waits for its turn.
      const rlimit limit{options.seconds_max, options.seconds_max + 1};
      ASSERT(::setrlimit(RLIMIT_CPU, &limit) == 0);
      set_mutant(options.mutant);
      const Report report = run(plan, seed);
      write_all(ends[1], std::string(1, '\0') + encode(report));
      ::_exit(0);
    }
    ::close(ends[1]);
    fd_ = ends[0];
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker() { ::close(fd_); }

  [[nodiscard]] int fd() const { return fd_; }
  void kill() { ::kill(child_, SIGKILL); }
  // Reads what there is; false at the end.
  bool take() {
    char buffer[65536];
    const ssize_t n = ::read(fd_, buffer, sizeof buffer);
    if (n > 0) {
      text_.append(buffer, static_cast<size_t>(n));
    }
    return n > 0;
  }
  Report finish() {
    int status = 0;
    ::waitpid(child_, &status, 0);
    Report report;
    const size_t mark = text_.find('\0');
    if (mark != std::string::npos && decode(text_.substr(mark + 1), report)) {
      return report;
    }
    report = Report{};
    report.plan = plan_.name;
    report.seed = seed_;
    const bool endless = WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU;
    report.failure = endless ? "runs without end" : "died: " + text_.substr(0, mark);
    return report;
  }

 private:
  const Plan& plan_;
  uint64_t seed_;
  pid_t child_ = 0;
  int fd_ = -1;
  std::string text_;
};

class Sums {
 public:
  void add(const Report& report, const RunnerOptions& options) {
    ++totals.seeds;
    totals.events += report.events;
    totals.operations += report.operations;
    totals.unknown += report.unknown;
    totals.undecided += report.undecided;
    totals.faults += report.faults;
    totals.simulated_hours += static_cast<double>(report.simulated.millis()) / 3.6e6;
    ++seeds_[report.plan];
    for (const auto& [path, times] : report.counts) {
      counts_[report.plan][path] += times;
    }
    if (report.failure.empty()) {
      return;
    }
    ++totals.failures;
    if (totals.first_failure.empty()) {
      totals.first_failure = report.failure;
      totals.first_failure_plan = report.plan;
      totals.seeds_until_failure = totals.seeds;
    }
    if (!options.quiet) {
      std::printf("FAILED seed %llu plan %s: %s\n  replay: quorate-sim --seed %llu --plan %s\n",
                  static_cast<unsigned long long>(report.seed), report.plan.c_str(),
                  report.failure.c_str(), static_cast<unsigned long long>(report.seed),
                  report.plan.c_str());
      std::fflush(stdout);
    }
  }
  void check_reach(const std::vector<Plan>& plans) {
    for (const Plan& plan : plans) {
      for (const std::string& path : plan.must_reach) {
        if (seeds_[plan.name] >= plan.reach_seeds && counts_[plan.name][path] == 0) {
          totals.unreached.push_back(plan.name + ": " + path);
        }
      }
    }
  }

  Totals totals;

 private:
  std::map<std::string, uint64_t> seeds_;
  std::map<std::string, std::map<std::string, uint64_t>> counts_;
};

// Waits until some worker is done; the others go on.
Report wait_for_one(std::vector<std::unique_ptr<Worker>>& workers) {
  while (true) {
    std::vector<pollfd> polls;
    for (const auto& worker : workers) {
      polls.push_back({worker->fd(), POLLIN, 0});
    }
    ::poll(polls.data(), polls.size(), -1);
    for (size_t i = 0; i < workers.size(); ++i) {
      if (polls[i].revents != 0 && !workers[i]->take()) {
        Report report = workers[i]->finish();
        workers.erase(workers.begin() + static_cast<std::ptrdiff_t>(i));
        return report;
      }
    }
  }
}

void end_all(std::vector<std::unique_ptr<Worker>>& workers) {
  for (const auto& worker : workers) {
    worker->kill();
    while (worker->take()) {
    }
    (void)worker->finish();
  }
  workers.clear();
}

}  // namespace

Report run_isolated(const Plan& plan, uint64_t seed, const RunnerOptions& options) {
  std::vector<std::unique_ptr<Worker>> workers;
  workers.push_back(std::make_unique<Worker>(plan, seed, options));
  return wait_for_one(workers);
}

Totals run_many(const std::vector<Plan>& plans, const RunnerOptions& options) {
  const WallClock::time_point began = WallClock::now();
  std::vector<const Plan*> chosen;
  for (const Plan& plan : plans) {
    if (options.plan.empty() || options.plan == plan.name) {
      chosen.push_back(&plan);
    }
  }
  Sums sums;
  std::vector<std::unique_ptr<Worker>> workers;
  uint64_t next = options.first;
  const uint64_t end = options.first + (chosen.empty() ? 0 : options.seeds);
  while (next < end || !workers.empty()) {
    while (next < end && workers.size() < options.jobs) {
      workers.push_back(std::make_unique<Worker>(*chosen[next % chosen.size()], next, options));
      ++next;
    }
    sums.add(wait_for_one(workers), options);
    if (options.stop_at_failure && sums.totals.failures > 0) {
      end_all(workers);
      break;
    }
  }
  sums.check_reach(plans);
  sums.totals.wall_seconds = seconds_since(began);
  return sums.totals;
}

}  // namespace quorate::sim
