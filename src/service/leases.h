// SPDX-License-Identifier: Apache-2.0
// Leases: what the leader of a group has heard of those whose leases its machines keep.
//
// Heartbeats are in no log: they are held here, and end with the leadership. So a leader that has
// just begun does not know who is alive, and gives everybody the benefit of the doubt: silence is
// counted from when it began to lead, which grants each lease once more, in full.
//
// Pure: it is told the time. On the shard's loop, as its group.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "base/time.h"
#include "service/machine.h"

namespace quorate::service {

class Leases {
 public:
  using IsThere = std::function<bool(ServiceId, std::string_view)>;

  // This replica leads from now on, or no more.
  void begin(Instant now);
  void end();
  // Forgets those that are not there any more, once they may be as many as those that are.
  void hear(ServiceId service, std::string_view subject, Instant now,
            const IsThere& is_there);

  [[nodiscard]] Duration silence_of(ServiceId service, std::string_view subject,
                                    Instant now) const;
  [[nodiscard]] size_t size() const { return heard_.size(); }

 private:
  using Key = std::pair<ServiceId, std::string>;
  struct Order {
    using is_transparent = void;
    template <class Left, class Right>
    bool operator()(const Left& left, const Right& right) const {
      return left.first != right.first
                 ? left.first < right.first
                 : std::string_view(left.second) < std::string_view(right.second);
    }
  };
  static constexpr size_t kForgetFrom = 1'024;

  std::map<Key, Instant, Order> heard_;
  size_t forget_at_ = kForgetFrom;
  Instant since_;            // silence is counted from here, at most
};

}  // namespace quorate::service
