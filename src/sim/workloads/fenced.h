// SPDX-License-Identifier: Apache-2.0
// Fenced: keys that clients of the locks write while they believe that they hold one, and later.
//
// Each write stands under a fence with the token of its lock, mostly in another group than the
// lock's. What is checked, of the writes that were answered:
//
//   order     tokens never go back in the order in which a key was written, whoever slept how long
//   cause     nobody is refused to whom no greater token was ever told
#pragma once

#include <map>
#include <string>
#include <utility>

#include "base/ids.h"
#include "base/status.h"
#include "sim/lock_door.h"
#include "sim/world.h"

namespace quorate::sim {

class Fenced {
 public:
  using LockKey = std::pair<uint32_t, std::string>;  // domain, name

  explicit Fenced(World& world) : world_(world) {}

  // By a process that runs; the token is that of an exclusive hold, which may be over.
  void write(LockDoor& via, const LockKey& lock, Token token);
  // What was wrong first; "" if nothing was.
  [[nodiscard]] const std::string& complaint() const { return complaint_; }

 private:
  struct Resource {
    Token sent;                         // the greatest
    std::map<Revision, Token> written;  // of the answered ones
  };

  void on_written(const LockKey& lock, Token token, Revision revision);
  void on_refused(const LockKey& lock, Token token);

  World& world_;
  std::map<LockKey, Resource> resources_;
  std::string complaint_;
};

}  // namespace quorate::sim
