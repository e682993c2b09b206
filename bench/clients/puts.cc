// SPDX-License-Identifier: Apache-2.0
#include "bench/clients/puts.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "base/hash.h"
#include "bench/clients/closed_loop.h"
#include "bench/clients/link.h"

namespace quorate::bench {
namespace {

constexpr uint32_t kKeys = 100'000;
constexpr size_t kValueBytes = 100;
constexpr size_t kDigits = 6;

// Always as many digits, so that all requests are as long.
std::string key_of(uint32_t number) {
  std::string digits = std::to_string(number);
  return "key" + std::string(kDigits - digits.size(), '0') + digits;
}

class Puts final : public Conversation {
 public:
  explicit Puts(const std::vector<uint16_t>& ports_by_slot) {
    for (uint32_t number = 0; number < kKeys; ++number) {
      // No neighbour of the one before.
      const std::string key = key_of(static_cast<uint32_t>(uint64_t{number} * 7'919 % kKeys));
      keys_at(ports_by_slot[slot_of(key)]).push_back(key);
    }
  }
  // Of the nodes that lead something.
  [[nodiscard]] std::vector<uint16_t> ports() const {
    std::vector<uint16_t> ports;
    for (const Node& node : nodes_) {
      ports.push_back(node.port);
    }
    return ports;
  }

  std::string_view next(size_t client) override {
    Node& node = nodes_[client % nodes_.size()];
    const std::string& key = node.keys[node.asked++ % node.keys.size()];
    std::copy(key.begin(), key.end(), request_.begin() + static_cast<ptrdiff_t>(key_begin_));
    return request_;
  }
  Heard hear(size_t, std::string_view answer) override {
    constexpr std::string_view kDone = "+OK\r\n";
    if (answer == kDone) {
      return Heard::kWhole;
    }
    return kDone.starts_with(answer) || !answer.ends_with("\r\n") ? Heard::kPart : Heard::kWrong;
  }

 private:
  struct Node {
    uint16_t port = 0;
    std::vector<std::string> keys;
    size_t asked = 0;
  };

  std::vector<std::string>& keys_at(uint16_t port) {
    for (Node& node : nodes_) {
      if (node.port == port) {
        return node.keys;
      }
    }
    nodes_.push_back({port, {}, 0});
    return nodes_.back().keys;
  }

  std::vector<Node> nodes_;
  std::string request_ =
      "*3\r\n" + bulk("SET") + bulk(key_of(0)) + bulk(std::string(kValueBytes, 'e'));
  const size_t key_begin_ = request_.find(key_of(0));
};

}  // namespace

double puts_per_second(const std::vector<uint16_t>& ports_by_slot, uint32_t clients,
                       uint64_t puts) {
  Puts conversation(ports_by_slot);
  return closed_loop_per_second(conversation.ports(), clients, puts, conversation);
}

}  // namespace quorate::bench
