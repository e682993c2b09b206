// SPDX-License-Identifier: Apache-2.0
#include "bench/clients/sessions.h"

#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <string_view>

#include "base/hash.h"
#include "base/prng.h"
#include "bench/clients/link.h"
#include "os/clock.h"

namespace quorate::bench {
namespace {

// What is not answered by then has failed.
constexpr Duration kPatience = Duration::seconds(10);
constexpr size_t kValueBytes = 100;
// Sessions that are begun at once, so that no backlog of a listener overflows.
constexpr size_t kBeginAtOnce = 64;
constexpr int kTriesForAnIdleOne = 64;
constexpr uint64_t kFailuresTold = 3;

void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
  }
}

class Sessions {
 public:
  Sessions(const std::vector<uint16_t>& ports_by_slot, const SessionLoad& load)
      : load_(load), set_(epoll_create1(EPOLL_CLOEXEC)), all_(load.sessions) {
    const std::string value(kValueBytes, 's');
    for (size_t n = 0; n < all_.size(); ++n) {
      const std::string key = "session:" + std::to_string(n);
      all_[n].descriptor = connect_to(ports_by_slot[slot_of(key)]);
      all_[n].get = "*2\r\n" + bulk("GET") + bulk(key);
      all_[n].set = "*5\r\n" + bulk("SET") + bulk(key) + bulk(value) + bulk("EX") +
                    bulk(std::to_string(load.lifetime_s));
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.u64 = n;
      if (all_[n].descriptor < 0 ||
          epoll_ctl(set_, EPOLL_CTL_ADD, all_[n].descriptor, &event) != 0) {
        std::fprintf(stderr, "bench: session %zu of %zu finds no connection\n", n, all_.size());
        result_.failed = all_.size();
        return;
      }
    }
  }
  ~Sessions() {
    for (const Session& session : all_) {
      close(session.descriptor);
    }
    close(set_);
  }
  Sessions(const Sessions&) = delete;
  Sessions& operator=(const Sessions&) = delete;

  std::vector<SessionResult> run() {
    std::vector<SessionResult> results;
    if (result_.failed > 0 || !begin_all()) {
      return results;
    }
    for (const uint32_t rate : load_.rates) {
      result_ = {};
      result_.per_second = rate;
      keep_rate();
      results.push_back(result_);
      const auto p999 = static_cast<int64_t>(result_.seconds.quantile(999'000));
      if (result_.failed > 0 || p999 > load_.p999_max.nanos()) {
        break;
      }
    }
    return results;
  }

 private:
  struct Session {
    int descriptor = -1;
    std::string get;
    std::string set;
    std::string answer;  // in the making
    Instant due;
    bool waits = false;
  };

  // Each session is written once; its time is not counted.
  bool begin_all() {
    const Instant end = clock_.now() + kPatience * 3;
    for (size_t next = 0; next < all_.size() || waiting_ > 0;) {
      while (next < all_.size() && waiting_ < kBeginAtOnce) {
        ask(all_[next++], false, clock_.now());
      }
      take_answers(clock_.now() + Duration::millis(100));
      if (clock_.now() > end) {
        result_.failed += waiting_ + all_.size() - next;
        return false;
      }
    }
    return result_.failed == 0;
  }

  void keep_rate() {
    const Duration distance = Duration::nanos(1'000'000'000 / result_.per_second);
    const Instant begin = clock_.now();
    Instant due = begin;
    while (due < begin + load_.lasts) {
      for (; due <= clock_.now() && due < begin + load_.lasts; due = due + distance) {
        Session* const session = idle_one();
        if (session == nullptr) {
          ++result_.failed;
          continue;
        }
        ask(*session, prng_.below(100) < load_.reads_percent, due);
      }
      take_answers(due);
    }
    const Instant end = clock_.now() + kPatience;
    while (waiting_ > 0 && clock_.now() < end) {
      take_answers(clock_.now() + Duration::millis(10));
    }
    result_.failed += waiting_;
  }

  Session* idle_one() {
    for (int tries = 0; tries < kTriesForAnIdleOne; ++tries) {
      Session& session = all_[prng_.below(all_.size())];
      if (!session.waits) {
        return &session;
      }
    }
    return nullptr;
  }

  void ask(Session& session, bool reads, Instant due) {
    const std::string& request = reads ? session.get : session.set;
    session.due = due;
    session.waits = true;
    ++waiting_;
    if (send(session.descriptor, request.data(), request.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(request.size())) {
      answered(session, false);
    }
  }

  void take_answers(Instant until) {
    std::array<epoll_event, 256> events;
    const int64_t nanos = std::max<int64_t>((until - clock_.now()).nanos(), 0);
    const timespec patience{nanos / 1'000'000'000, nanos % 1'000'000'000};
    const int count = epoll_pwait2(set_, events.data(), events.size(), &patience, nullptr);
    for (int at = 0; at < count; ++at) {
      hear(all_[events[static_cast<size_t>(at)].data.u64]);
    }
  }

  void hear(Session& session) {
    std::array<char, 1024> bytes;
    const ssize_t size = recv(session.descriptor, bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (size <= 0) {
      epoll_ctl(set_, EPOLL_CTL_DEL, session.descriptor, nullptr);
      answered(session, false);
      return;
    }
    session.answer.append(bytes.data(), static_cast<size_t>(size));
    const bool is_value = session.answer.starts_with("$100\r\n");
    if (is_value ? session.answer.size() == 6 + kValueBytes + 2
                 : session.answer.ends_with("\r\n")) {
      answered(session, is_value || session.answer == "+OK\r\n");
    }
  }

  void answered(Session& session, bool ok) {
    if (session.waits) {
      session.waits = false;
      --waiting_;
      result_.seconds.record(clock_.now() - session.due);
    }
    result_.failed += ok ? 0 : 1;
    if (!ok && result_.failed <= kFailuresTold) {
      std::fprintf(stderr, "bench: a session was told: %.*s\n",
                   static_cast<int>(std::min(session.answer.find('\r'), session.answer.size())),
                   session.answer.c_str());
    }
    session.answer.clear();
  }

  const SessionLoad load_;
  const os::Clock clock_;
  const int set_;
  std::vector<Session> all_;
  Prng prng_{7};
  size_t waiting_ = 0;
  SessionResult result_;
};

}  // namespace

std::vector<SessionResult> run_sessions(const std::vector<uint16_t>& ports_by_slot,
                                        const SessionLoad& load) {
  raise_descriptor_limit();
  return Sessions(ports_by_slot, load).run();
}

}  // namespace quorate::bench
