// SPDX-License-Identifier: Apache-2.0
#include "bench/clients/closed_loop.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <string>

#include "bench/clients/link.h"

namespace quorate::bench {
namespace {

constexpr int kPatienceMillis = 5'000;

class Clients {
 public:
  Clients(const std::vector<uint16_t>& ports, uint32_t clients, Conversation& conversation)
      : conversation_(conversation), set_(epoll_create1(EPOLL_CLOEXEC)), all_(clients) {
    for (size_t n = 0; n < all_.size(); ++n) {
      all_[n].descriptor = connect_to(ports[n % ports.size()]);
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.u64 = n;
      connected_ = connected_ && all_[n].descriptor >= 0 &&
                   epoll_ctl(set_, EPOLL_CTL_ADD, all_[n].descriptor, &event) == 0;
    }
  }
  ~Clients() {
    for (const Client& client : all_) {
      close(client.descriptor);
    }
    close(set_);
  }
  Clients(const Clients&) = delete;
  Clients& operator=(const Clients&) = delete;

  // False if one of them failed.
  bool run(uint64_t operations) {
    for (size_t n = 0; n < all_.size(); ++n) {
      if (!connected_ || !ask(n)) {
        return false;
      }
    }
    while (done_ < operations) {
      std::array<epoll_event, 128> events;
      const int count = epoll_wait(set_, events.data(), events.size(), kPatienceMillis);
      if (count <= 0) {
        return false;
      }
      for (int at = 0; at < count; ++at) {
        if (!hear(events[static_cast<size_t>(at)].data.u64)) {
          return false;
        }
      }
    }
    return true;
  }

 private:
  struct Client {
    int descriptor = -1;
    std::string answer;  // in the making
  };

  bool ask(size_t n) {
    const std::string_view request = conversation_.next(n);
    return send(all_[n].descriptor, request.data(), request.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(request.size());
  }
  bool hear(size_t n) {
    std::array<char, 4096> bytes;
    const ssize_t size = recv(all_[n].descriptor, bytes.data(), bytes.size(), 0);
    if (size <= 0) {
      return false;
    }
    std::string& answer = all_[n].answer;
    answer.append(bytes.data(), static_cast<size_t>(size));
    switch (conversation_.hear(n, answer)) {
      case Conversation::Heard::kPart: return true;
      case Conversation::Heard::kWhole: break;
      case Conversation::Heard::kWrong:
        std::fprintf(stderr, "bench: a client was told: %s\n", answer.c_str());
        return false;
    }
    answer.clear();
    ++done_;
    return ask(n);
  }

  Conversation& conversation_;
  const int set_;
  bool connected_ = true;
  std::vector<Client> all_;
  uint64_t done_ = 0;
};

}  // namespace

double closed_loop_per_second(const std::vector<uint16_t>& ports, uint32_t clients,
                              uint64_t operations, Conversation& conversation) {
  Clients load(ports, clients, conversation);
  const auto begun = std::chrono::steady_clock::now();
  if (!load.run(operations)) {
    return 0;
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
  return static_cast<double>(operations) / took.count();
}

}  // namespace quorate::bench
