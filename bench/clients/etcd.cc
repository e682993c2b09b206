// SPDX-License-Identifier: Apache-2.0
#include "bench/clients/etcd.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <string>
#include <string_view>

#include "bench/clients/link.h"

namespace quorate::bench {
namespace {

constexpr int kPatienceMillis = 5'000;
constexpr uint64_t kKeys = 100'000;

std::string post(std::string_view path, const std::string& body) {
  return "POST " + std::string(path) +
         " HTTP/1.1\r\nHost: etcd\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         body;
}

// What clients ask for, one thing after the other.
class Conversation {
 public:
  virtual ~Conversation() = default;
  [[nodiscard]] virtual std::string next(size_t client) = 0;
  // False if the answer makes no sense.
  [[nodiscard]] virtual bool take(size_t client, std::string_view answer) = 0;
};

// A number as eight characters of base64.
std::string coded(uint64_t number) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (int digits = 0; digits < 8; ++digits, number /= 64) {
    text += kDigits[number % 64];
  }
  return text;
}

// A hundred bytes under one key after the other.
class Puts final : public Conversation {
 public:
  std::string next(size_t) override {
    const std::string key = "a2V5" + coded(asked_++ * 7'919 % kKeys);
    return post("/v3/kv/put",
                R"({"key":")" + key + R"(","value":")" + std::string(132, 'e') + R"(eA=="})");
  }
  bool take(size_t, std::string_view) override { return true; }

 private:
  uint64_t asked_ = 0;
};

// The text of a field; both of the fields that are asked for stand once in their answers.
std::string field_of(std::string_view answer, std::string_view name) {
  const std::string opening = "\"" + std::string(name) + "\":\"";
  const size_t found = answer.find(opening);
  if (found == std::string_view::npos) {
    return {};
  }
  const size_t begin = found + opening.size();
  return std::string(answer.substr(begin, answer.find('"', begin) - begin));
}

// First a lease, then lock and unlock.
class Locks final : public Conversation {
 public:
  explicit Locks(uint32_t clients) : holders_(clients) {}

  std::string next(size_t client) override {
    const Holder& holder = holders_[client];
    if (holder.lease.empty()) {
      return post("/v3/lease/grant", R"({"TTL":120})");
    }
    if (holder.key.empty()) {
      return post("/v3/lock/lock",
                  R"({"name":"bG9j)" + coded(client) + R"(","lease":")" + holder.lease + R"("})");
    }
    return post("/v3/lock/unlock", R"({"key":")" + holder.key + R"("})");
  }
  bool take(size_t client, std::string_view answer) override {
    Holder& holder = holders_[client];
    if (holder.lease.empty()) {
      holder.lease = field_of(answer, "ID");
      return !holder.lease.empty();
    }
    if (!holder.key.empty()) {
      holder.key.clear();
      return true;
    }
    holder.key = field_of(answer, "key");
    return !holder.key.empty();
  }

 private:
  struct Holder {
    std::string lease;
    std::string key;  // of what is held
  };
  std::vector<Holder> holders_;
};

// Whether a whole answer is there, and whether it says that it was done.
bool is_whole(const std::string& answer, bool& ok) {
  const size_t body = answer.find("\r\n\r\n");
  const size_t length = answer.find("Content-Length: ");
  if (body == std::string::npos || length == std::string::npos) {
    return false;
  }
  ok = answer.compare(0, 12, "HTTP/1.1 200") == 0;
  return answer.size() >= body + 4 + std::strtoul(answer.c_str() + length + 16, nullptr, 10);
}

class Clients {
 public:
  Clients(const std::vector<uint16_t>& ports, uint32_t clients, Conversation& conversation)
      : conversation_(conversation), answers_(clients) {
    for (uint32_t n = 0; n < clients; ++n) {
      polls_.push_back({connect_to(ports[n % ports.size()]), POLLIN, 0});
    }
  }
  ~Clients() {
    for (const pollfd& each : polls_) {
      close(each.fd);
    }
  }
  Clients(const Clients&) = delete;
  Clients& operator=(const Clients&) = delete;

  // False if one of them failed.
  bool run(uint64_t operations) {
    for (size_t n = 0; n < polls_.size(); ++n) {
      if (!ask(n)) {
        return false;
      }
    }
    while (done_ < operations) {
      if (poll(polls_.data(), polls_.size(), kPatienceMillis) <= 0) {
        return false;
      }
      for (size_t n = 0; n < polls_.size(); ++n) {
        if (polls_[n].revents != 0 && !hear(n)) {
          return false;
        }
      }
    }
    return true;
  }

 private:
  bool ask(size_t n) {
    const std::string request = conversation_.next(n);
    return send(polls_[n].fd, request.data(), request.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(request.size());
  }
  bool hear(size_t n) {
    std::array<char, 4096> bytes;
    const ssize_t size = recv(polls_[n].fd, bytes.data(), bytes.size(), 0);
    if (size <= 0) {
      return false;
    }
    answers_[n].append(bytes.data(), static_cast<size_t>(size));
    bool ok = true;
    if (!is_whole(answers_[n], ok)) {
      return true;
    }
    ok = ok && conversation_.take(n, answers_[n]);
    answers_[n].clear();
    ++done_;
    return ok && ask(n);
  }

  Conversation& conversation_;
  std::vector<pollfd> polls_;
  std::vector<std::string> answers_;
  uint64_t done_ = 0;
};

double per_second(const std::vector<uint16_t>& ports, uint32_t clients, uint64_t operations,
                  Conversation& conversation) {
  Clients load(ports, clients, conversation);
  const auto begun = std::chrono::steady_clock::now();
  if (!load.run(operations)) {
    return 0;
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
  return static_cast<double>(operations) / took.count();
}

}  // namespace

double etcd_puts_per_second(const std::vector<uint16_t>& ports, uint32_t clients, uint64_t puts) {
  Puts conversation;
  return per_second(ports, clients, puts, conversation);
}

double etcd_locks_per_second(const std::vector<uint16_t>& ports, uint32_t clients,
                             uint64_t operations) {
  Locks conversation(clients);
  return per_second(ports, clients, operations, conversation);
}

}  // namespace quorate::bench
