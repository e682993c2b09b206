// SPDX-License-Identifier: Apache-2.0
// Given: the tokens of locks that clients were told, by whom and for what.
//
// A token is given once. It may be told once more to an owner that enters a lock which it has:
// clients do that when by their own clock the lease was over and by the cluster's it was not. Then
// all of this is so, or else somebody gave a token twice:
//
//   owner    it was told to the same owner, which nobody has told since that it is lost
//   locks    of each lock that is asked for, the owner has been told this token or a smaller one,
//            and of one of them this one; permits are added and never entered, so of none of them
//   nobody   since then nobody was told a token of such a lock that excludes what the owner has:
//            who was granted it in between has ended the owner's hold, and the token with it
//
// What clients were told is all that is looked at, and not the state of any replica.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "base/ids.h"
#include "base/time.h"
#include "service/lock/commands.h"
#include "sim/workloads/fenced.h"

namespace quorate::sim {

class Given {
 public:
  using LockKey = Fenced::LockKey;
  enum class Kind : uint8_t { kNew, kEntered, kTwice };

  // The owner is told of it now: the token is of the group, and the answer to this.
  [[nodiscard]] Kind note(GroupId group, const service::lock::Acquire& asked, Token token,
                          Instant now);
  // The owner, asked after at `asked`, is no more: what it was told until then it has not now.
  void lost(const std::string& owner, uint32_t domain, Instant asked);

 private:
  struct Told {
    std::string owner;
    service::lock::Mode mode = service::lock::Mode::kExclusive;
    Instant at;
    bool is_over = false;  // the owner was told that it is lost
  };
  using Tokens = std::map<Token, Told>;

  [[nodiscard]] bool may_have_entered(const service::lock::Acquire& asked, Token token) const;
  [[nodiscard]] static bool has_still(const Tokens& tokens, Tokens::const_iterator own);

  std::map<GroupId, std::set<Token>> tokens_;
  std::map<LockKey, Tokens> told_;
};

}  // namespace quorate::sim
