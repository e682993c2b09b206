// SPDX-License-Identifier: Apache-2.0
#include "bench/clients/etcd.h"

#include <cstdlib>
#include <string>
#include <string_view>

#include "bench/clients/closed_loop.h"

namespace quorate::bench {
namespace {

constexpr uint64_t kKeys = 100'000;

std::string post(std::string_view path, const std::string& body) {
  return "POST " + std::string(path) +
         " HTTP/1.1\r\nHost: etcd\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         body;
}

// Whether a whole answer is there, and what it says.
Conversation::Heard heard(std::string_view answer) {
  constexpr std::string_view kLength = "Content-Length: ";
  const size_t body = answer.find("\r\n\r\n");
  const size_t length = answer.find(kLength);
  if (body == std::string_view::npos || length == std::string_view::npos) {
    return Conversation::Heard::kPart;
  }
  // A number ends at the end of its line, which is there.
  const size_t size = std::strtoul(answer.data() + length + kLength.size(), nullptr, 10);
  if (answer.size() < body + 4 + size) {
    return Conversation::Heard::kPart;
  }
  return answer.starts_with("HTTP/1.1 200") ? Conversation::Heard::kWhole
                                            : Conversation::Heard::kWrong;
}

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
  std::string_view next(size_t) override {
    const std::string key = "a2V5" + coded(asked_++ * 7'919 % kKeys);
    request_ = post("/v3/kv/put", R"({"key":")" + key + R"(","value":")" + value_ + R"("})");
    return request_;
  }
  Heard hear(size_t, std::string_view answer) override { return heard(answer); }

 private:
  const std::string value_ = std::string(132, 'e') + "eA==";
  std::string request_;
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

  std::string_view next(size_t client) override {
    const Holder& holder = holders_[client];
    if (holder.lease.empty()) {
      request_ = post("/v3/lease/grant", R"({"TTL":120})");
    } else if (holder.key.empty()) {
      request_ = post("/v3/lock/lock", R"({"name":"bG9j)" + coded(client) + R"(","lease":")" +
                                           holder.lease + R"("})");
    } else {
      request_ = post("/v3/lock/unlock", R"({"key":")" + holder.key + R"("})");
    }
    return request_;
  }
  Heard hear(size_t client, std::string_view answer) override {
    const Heard said = heard(answer);
    if (said != Heard::kWhole) {
      return said;
    }
    Holder& holder = holders_[client];
    if (holder.lease.empty()) {
      holder.lease = field_of(answer, "ID");
      return holder.lease.empty() ? Heard::kWrong : said;
    }
    if (!holder.key.empty()) {
      holder.key.clear();
      return said;
    }
    holder.key = field_of(answer, "key");
    return holder.key.empty() ? Heard::kWrong : said;
  }

 private:
  struct Holder {
    std::string lease;
    std::string key;  // of what is held
  };
  std::vector<Holder> holders_;
  std::string request_;
};

}  // namespace

double etcd_puts_per_second(const std::vector<uint16_t>& ports, uint32_t clients, uint64_t puts) {
  Puts conversation;
  return closed_loop_per_second(ports, clients, puts, conversation);
}

double etcd_locks_per_second(const std::vector<uint16_t>& ports, uint32_t clients,
                             uint64_t operations) {
  Locks conversation(clients);
  return closed_loop_per_second(ports, clients, operations, conversation);
}

}  // namespace quorate::bench
