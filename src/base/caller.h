// SPDX-License-Identifier: Apache-2.0
// Caller: who asks, and what they may do: rights over names that begin with a prefix, per service.
//
// An edge makes one from credentials (edge/gate.h) and hands it down with each command; the typed
// doors of the services (service/*/api.h) ask it about every name a command touches. Where there is
// no Caller at all, everything is allowed: the door is used by the process itself, or access is
// not controlled.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace quorate {

// Bits; as a role for people: reader 1, writer 3, admin 7.
namespace rights {
inline constexpr uint8_t kRead = 1;
inline constexpr uint8_t kWrite = 2;
inline constexpr uint8_t kAdmin = 4;
inline constexpr uint8_t kAll = kRead | kWrite | kAdmin;
}  // namespace rights

class Caller {
 public:
  // Services go by their number, scopes (a keyspace, say) by their id.
  static constexpr uint8_t kEveryService = 0;
  static constexpr uint64_t kDefaultScope = 0;
  // What people call it. It stands in no catalogue: it is always there.
  static constexpr std::string_view kDefaultScopeName = "default";

  struct Grant {
    uint8_t service = kEveryService;
    bool every_scope = false;
    uint64_t scope = kDefaultScope;
    std::string prefix;
    uint8_t rights = 0;
    bool operator==(const Grant&) const = default;
  };
  struct Place {
    uint8_t service = kEveryService;
    uint64_t scope = kDefaultScope;
  };

  Caller(std::string name, std::vector<Grant> grants)
      : name_(std::move(name)), grants_(std::move(grants)) {}

  [[nodiscard]] const std::string& name() const { return name_; }
  // All of `wanted`, each by some grant.
  [[nodiscard]] bool may(uint8_t wanted, Place place, std::string_view name) const;
  // Over every name n with begin <= n < end; an empty end is the end of all names.
  [[nodiscard]] bool may_range(uint8_t wanted, Place place, std::string_view begin,
                               std::string_view end) const;
  // Of the cluster itself: members, users, whatever belongs to no one service.
  [[nodiscard]] bool administers() const;

 private:
  std::string name_;
  std::vector<Grant> grants_;
};

using CallerRef = std::shared_ptr<const Caller>;

}  // namespace quorate
