// SPDX-License-Identifier: Apache-2.0
#include "bench/lock_load.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <map>

#include "base/prng.h"
#include "bench/clients/link.h"

namespace quorate::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kWaitMillis = 30'000;
constexpr int kLeaseMillis = 60'000;
constexpr int kPollMillis = 5;
constexpr auto kReconnectPause = std::chrono::milliseconds(20);

uint64_t nanos_between(Clock::time_point begin, Clock::time_point end) {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(end - begin).count());
}

std::string http_request(const std::string& path, const std::string& body) {
  return "POST " + path +
         " HTTP/1.1\r\nHost: bench\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         body;
}

// The size of the whole answer at the front; zero if it is not all there yet.
size_t whole(LockProtocol protocol, const std::string& heard) {
  if (protocol == LockProtocol::kResp) {
    const size_t end = heard.find("\r\n");
    return end == std::string::npos ? 0 : end + 2;
  }
  const size_t body = heard.find("\r\n\r\n");
  const size_t length = heard.find("Content-Length: ");
  if (body == std::string::npos || length == std::string::npos) {
    return 0;
  }
  const size_t size = body + 4 + std::strtoul(heard.c_str() + length + 16, nullptr, 10);
  return heard.size() >= size ? size : 0;
}

bool is_good(LockProtocol protocol, const std::string& answer) {
  return protocol == LockProtocol::kResp ? answer[0] == ':'
                                         : answer.compare(0, 12, "HTTP/1.1 200") == 0;
}

// ---- the resource -------------------------------------------------------------------------------

struct Resource {
  uint32_t readers = 0;
  uint32_t writers = 0;
  Clock::time_point released = {};  // by somebody, last
};

struct Worker {
  int descriptor = -1;
  size_t port = 0;  // which of the ports
  uint32_t number = 0;
  uint64_t life = 0;  // with each connection another owner
  bool releasing = false;
  bool shared = false;
  bool inside = false;
  uint32_t resource = 0;
  Clock::time_point sent = {};
  Clock::time_point reconnect_at = {};
  std::string heard = {};
};

class LockLoad {
 public:
  explicit LockLoad(const LockLoadOptions& options)
      : options_(options), prng_(options.clients * 7919 + 1), resources_(options.resources) {
    for (uint32_t number = 0; number < options.clients; ++number) {
      Worker worker;
      worker.number = number;
      worker.port = number % options.ports.size();
      workers_.push_back(std::move(worker));
    }
    if (options.own_resource) {
      resources_.resize(options.clients);
    }
  }

  LockLoadResult run() {
    begun_ = last_grant_ = Clock::now();
    for (double passed = 0; passed < options_.seconds; passed = seconds_since(begun_)) {
      turn();
      if (options_.meanwhile) {
        options_.meanwhile(passed);
      }
    }
    result_.seconds = seconds_since(begun_);
    for (Worker& worker : workers_) {
      drop(worker);
    }
    return std::move(result_);
  }

 private:
  static double seconds_since(Clock::time_point begin) {
    return static_cast<double>(nanos_between(begin, Clock::now())) / 1e9;
  }

  void turn() {
    polled_.clear();
    for (Worker& worker : workers_) {
      if (worker.descriptor < 0 && Clock::now() >= worker.reconnect_at) {
        begin(worker);
      }
      polled_.push_back({worker.descriptor, POLLIN, 0});
    }
    if (poll(polled_.data(), polled_.size(), kPollMillis) <= 0) {
      return;
    }
    for (size_t at = 0; at < workers_.size(); ++at) {
      if (polled_[at].revents != 0) {
        read(workers_[at]);
      }
    }
  }

  void begin(Worker& worker) {
    worker.descriptor = connect_to(options_.ports[worker.port]);
    if (worker.descriptor < 0) {
      move_on(worker);
      return;
    }
    ++worker.life;
    worker.heard.clear();
    acquire(worker);
  }
  void move_on(Worker& worker) {
    worker.port = (worker.port + 1) % options_.ports.size();
    worker.reconnect_at = Clock::now() + kReconnectPause;
  }
  // What it holds stays held until its lease is over; it is not inside any more, for it knows that
  // it cannot tell.
  void drop(Worker& worker) {
    if (worker.descriptor >= 0) {
      close(worker.descriptor);
      worker.descriptor = -1;
    }
    leave(worker);
  }

  [[nodiscard]] std::string owner_of(const Worker& worker) const {
    return options_.name + "-" + std::to_string(worker.number) + "-" + std::to_string(worker.life);
  }
  [[nodiscard]] std::string name_of(const Worker& worker) const {
    return options_.name + "-" + std::to_string(worker.resource);
  }

  void acquire(Worker& worker) {
    worker.releasing = false;
    worker.shared = prng_.below(100) < options_.shared_percent;
    worker.resource = options_.own_resource
                          ? worker.number
                          : static_cast<uint32_t>(prng_.below(options_.resources));
    if (options_.protocol == LockProtocol::kResp) {
      say(worker, "LOCK.ACQUIRE " + name_of(worker) + (worker.shared ? " SHARED " : " EXCLUSIVE ") +
                      owner_of(worker) + " LEASE " + std::to_string(kLeaseMillis) + " WAIT " +
                      std::to_string(kWaitMillis) + "\r\n");
    } else {
      say(worker, http_request("/v1/locks/" + name_of(worker) + "/acquire",
                               R"({"owner":")" + owner_of(worker) + R"(","mode":")" +
                                   (worker.shared ? "shared" : "exclusive") +
                                   R"(","wait":"30s","lease":"60s"})"));
    }
  }
  // Whoever sends this is outside already, so that nobody is called a second holder who is none.
  void release(Worker& worker) {
    leave(worker);
    resources_[worker.resource].released = Clock::now();
    worker.releasing = true;
    if (options_.protocol == LockProtocol::kResp) {
      say(worker, "LOCK.RELEASE " + name_of(worker) + " " + owner_of(worker) + "\r\n");
    } else {
      say(worker, http_request("/v1/locks/" + name_of(worker) + "/release",
                               R"({"owner":")" + owner_of(worker) + "\"}"));
    }
  }
  void say(Worker& worker, const std::string& bytes) {
    worker.sent = Clock::now();
    const ssize_t written = send(worker.descriptor, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (written != static_cast<ssize_t>(bytes.size())) {
      lose(worker);
    }
  }
  void lose(Worker& worker) {
    ++result_.lost;
    drop(worker);
    move_on(worker);
  }

  void read(Worker& worker) {
    std::array<char, 4096> bytes;
    const ssize_t got = recv(worker.descriptor, bytes.data(), bytes.size(), 0);
    if (got <= 0) {
      lose(worker);
      return;
    }
    worker.heard.append(bytes.data(), static_cast<size_t>(got));
    if (const size_t size = whole(options_.protocol, worker.heard); size != 0) {
      const std::string answer = worker.heard.substr(0, size);
      worker.heard.erase(0, size);
      take(worker, answer);
    }
  }

  void take(Worker& worker, const std::string& answer) {
    const Clock::time_point now = Clock::now();
    const uint64_t took = nanos_between(worker.sent, now);
    if (!is_good(options_.protocol, answer)) {
      fail(worker, answer);
      return;
    }
    ++result_.operations;
    result_.operation.record(took);
    if (worker.releasing) {
      result_.release.record(took);
      acquire(worker);
      return;
    }
    result_.acquire.record(took);
    enter(worker, now);
    release(worker);
  }
  // The owner's state is not known for sure: another owner goes on.
  void fail(Worker& worker, const std::string& answer) {
    ++result_.errors;
    result_.deadlocks += answer.find("DEADLOCK") != std::string::npos ||
                                 answer.find("\"deadlock\"") != std::string::npos
                             ? 1
                             : 0;
    if (result_.first_error.empty()) {
      result_.first_error = answer;
    }
    ++worker.life;
    leave(worker);
    acquire(worker);
  }

  void enter(Worker& worker, Clock::time_point now) {
    Resource& resource = resources_[worker.resource];
    result_.double_holders += resource.writers > 0 || (!worker.shared && resource.readers > 0);
    (worker.shared ? resource.readers : resource.writers) += 1;
    worker.inside = true;
    ++result_.grants;
    result_.longest_gap_ms = std::max(result_.longest_gap_ms,
                                      static_cast<double>(nanos_between(last_grant_, now)) / 1e6);
    last_grant_ = now;
    if (resource.released > worker.sent) {  // it waited when somebody let go
      result_.hand_over.record(nanos_between(resource.released, now));
    }
  }
  void leave(Worker& worker) {
    if (worker.inside) {
      worker.inside = false;
      Resource& resource = resources_[worker.resource];
      (worker.shared ? resource.readers : resource.writers) -= 1;
    }
  }

  const LockLoadOptions options_;
  Prng prng_;
  std::vector<Resource> resources_;
  std::vector<Worker> workers_;
  std::vector<pollfd> polled_;
  LockLoadResult result_;
  Clock::time_point begun_;
  Clock::time_point last_grant_;
};

}  // namespace

LockLoadResult run_lock_load(const LockLoadOptions& options) { return LockLoad(options).run(); }

LockCaller::LockCaller(uint16_t port) : descriptor_(connect_to(port)) {}

LockCaller::~LockCaller() {
  if (descriptor_ >= 0) {
    close(descriptor_);
  }
}

void LockCaller::send(const std::string& line) const {
  const std::string bytes = line + "\r\n";
  (void)!::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

std::string LockCaller::hear() {
  std::array<char, 4096> bytes;
  while (heard_.find("\r\n") == std::string::npos) {
    const ssize_t got = recv(descriptor_, bytes.data(), bytes.size(), 0);
    if (got <= 0) {
      return {};
    }
    heard_.append(bytes.data(), static_cast<size_t>(got));
  }
  const size_t end = heard_.find("\r\n");
  std::string line = heard_.substr(0, end);
  heard_.erase(0, end + 2);
  return line;
}

}  // namespace quorate::bench
