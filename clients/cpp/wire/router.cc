// SPDX-License-Identifier: Apache-2.0
#include "clients/cpp/wire/router.h"

#include <algorithm>

namespace quorate::wire {
namespace {

constexpr size_t kSlots = 16384;

bool is_slot(const Reply& reply) {
  return reply.kind == Reply::Kind::kInteger && reply.integer >= 0 &&
         reply.integer < static_cast<int64_t>(kSlots);
}

// One line of the map: first slot, last slot, the node that leads them, others.
bool is_range(const Reply& range) {
  if (range.items.size() < 3 || !is_slot(range.items[0]) || !is_slot(range.items[1])) {
    return false;
  }
  const Reply& node = range.items[2];
  return node.items.size() >= 2 && node.items[0].kind == Reply::Kind::kText &&
         node.items[1].kind == Reply::Kind::kInteger && node.items[1].integer > 0 &&
         node.items[1].integer < 65536;
}

}  // namespace

std::optional<Address> parse_address(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == text.size()) {
    return std::nullopt;
  }
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  const bool is_number =
      std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (host.empty() || !is_number || port.size() > 5) {
    return std::nullopt;
  }
  return Address{host, port};
}

size_t Router::number_of(const Address& node) {
  const auto found = std::find(nodes_.begin(), nodes_.end(), node);
  const size_t number = static_cast<size_t>(found - nodes_.begin());
  if (found == nodes_.end()) {
    nodes_.push_back(node);
  }
  return number;
}

bool Router::learn(const Reply& slots) {
  if (slots.kind != Reply::Kind::kArray || slots.items.empty() ||
      !std::all_of(slots.items.begin(), slots.items.end(), is_range)) {
    return false;
  }
  // Where nobody leads for the moment the last one known is as good as any.
  leaders_.resize(kSlots, static_cast<uint16_t>(kNodesMax));
  for (const Reply& range : slots.items) {
    const Reply& node = range.items[2];
    if (node.items[0].text.empty() || nodes_.size() >= kNodesMax) {
      continue;  // a node that does not say where it is found
    }
    const size_t leader = number_of({node.items[0].text, std::to_string(node.items[1].integer)});
    for (int64_t slot = range.items[0].integer; slot <= range.items[1].integer; ++slot) {
      leaders_[static_cast<size_t>(slot)] = static_cast<uint16_t>(leader);
    }
  }
  return true;
}

size_t Router::pick(int slot, int tries) {
  if (slot >= 0 && tries == 0 && !leaders_.empty()) {
    const uint16_t leader = leaders_[static_cast<size_t>(slot)];
    if (leader < nodes_.size()) {
      return leader;
    }
  }
  return next_++ % nodes_.size();
}

}  // namespace quorate::wire
