// SPDX-License-Identifier: Apache-2.0
// Api: the typed door to the meta group, for the node's placement and for the edges.
//
// It encodes, proposes or reads, decodes, and gives every failure, of the machine or of the
// weather, as one Status. All on one loop, as Proposer. What every node knows anyway, the map, is
// better read in place: typed<State>() of the node's own replica of group 0.
#pragma once

#include "base/function.h"
#include "service/meta/answers.h"
#include "service/meta/commands.h"
#include "service/proposer.h"

namespace quorate::service::meta {

class Api {
 public:
  using Done = UniqueFunction<void(Answer, const Origin&)>;

  // `proposer` must outlive every call.
  explicit Api(Proposer& proposer) : proposer_(proposer) {}

  // Most commands may simply be said again when their outcome is unknown; for those that may not
  // (CreateObject answers already_exists the second time) give a key.
  void apply(const Command& command, Done done, Duration timeout = Duration::seconds(10),
             CommandKey key = {});
  void query(const Query& query, ReadMode mode, Done done,
             Duration timeout = Duration::seconds(10));

 private:
  Proposer& proposer_;
};

}  // namespace quorate::service::meta
