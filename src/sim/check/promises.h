// SPDX-License-Identifier: Apache-2.0
// Promises: what a replica has told its peers, and must still hold after it died.
//
//   a vote              no other candidate gets it in that term, and a restart remembers it
//   an acknowledgement  the entries are in the log of the next process, unless a later term's
//                       leader had them replaced
//
// What is promised is read off the frames that leave a node, so it is what its peers may build on,
// whatever the node itself believes. Breaking a promise does harm only if several things go wrong
// together; here it shows the first time.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "base/ids.h"
#include "raft/message.h"
#include "raft/node.h"

namespace quorate::sim {

class Promises {
 public:
  // A frame leaves `from`. "" or which promise it breaks.
  [[nodiscard]] std::string note(NodeId from, NodeId to, std::string_view frame);
  // The first look at a replica of a new process. "" or what it has forgotten.
  [[nodiscard]] std::string check(NodeId id, GroupId group, const raft::Node& raft) const;
  // The replica, or what its disk held, is gone. It is bound by nothing: it will not vote before it
  // has entries of the term that it may have voted in, and then nobody without them gets its vote.
  void forget(NodeId id, GroupId group) { made_.erase({id, group}); }

 private:
  struct Made {
    Term voted_in;
    NodeId candidate;
    Term acked_in;
    Index acked;
  };

  [[nodiscard]] std::string note(NodeId from, GroupId group, const raft::Message& message);

  std::map<std::pair<NodeId, GroupId>, Made> made_;
};

}  // namespace quorate::sim
