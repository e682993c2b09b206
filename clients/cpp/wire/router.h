// SPDX-License-Identifier: Apache-2.0
// Router: which node leads which slot, as the nodes tell it (CLUSTER SLOTS), and where a call goes.
// Pure: no socket and no clock.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "clients/cpp/wire/reply.h"

namespace quorate::wire {

using Address = std::pair<std::string, std::string>;  // host and port

// "host:port", with a host in brackets if it has colons; nothing if it is not that.
[[nodiscard]] std::optional<Address> parse_address(std::string_view text);

class Router {
 public:
  static constexpr size_t kNodesMax = 1024;

  explicit Router(std::vector<Address> seeds) : nodes_(std::move(seeds)) {}

  // Nodes are numbered; new ones are added behind, and none is ever forgotten.
  [[nodiscard]] const std::vector<Address>& nodes() const { return nodes_; }
  // False if the reply is no map of slots; then nothing changes.
  bool learn(const Reply& slots);
  // The node for this try: at first the one that leads the slot, then one after the other.
  [[nodiscard]] size_t pick(int slot, int tries);

 private:
  [[nodiscard]] size_t number_of(const Address& node);

  std::vector<Address> nodes_;
  std::vector<uint16_t> leaders_;  // by slot; empty: not known
  size_t next_ = 0;
};

}  // namespace quorate::wire
