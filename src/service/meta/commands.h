// SPDX-License-Identifier: Apache-2.0
// The commands of the meta group, and their bytes; queries and answers are in answers.h.
//
// The numbers in the log are the positions in the variant: append only. Format: docs/formats/
// meta.md; every struct lists its fields once (fields.h), so that encode and decode agree.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/status.h"
#include "service/meta/types.h"

namespace quorate::service::meta {

struct NodeSpec {
  NodeId id;
  Addresses addresses;
  std::string label;
  uint32_t weight = kWeightDefault;

  bool operator==(const NodeSpec&) const = default;
  template <class Self, class Io>
  static void fields(Self& self, Io& io) {
    io(self.id, self.addresses, self.label, self.weight);
  }
};

// ---- commands -----------------------------------------------------------------------------------

// The first command of a cluster's life. Repeated with the same cluster id it changes nothing; with
// another one it is refused.
struct Bootstrap {
  Settings settings;
  uint32_t groups = 12;
  std::vector<NodeSpec> nodes;

  bool operator==(const Bootstrap&) const = default;
  template <class Self, class Io>
  static void fields(Self& self, Io& io) {
    io(self.settings, self.groups, self.nodes);
  }
};

// A node knocks. Id zero: the next free one. May be repeated: while the node is joining, the same
// raft address gets the same identifier again.
struct AddNode {
  NodeSpec node;
  NodeId replaces;

  bool operator==(const AddNode&) const = default;
  template <class Self, class Io>
  static void fields(Self& self, Io& io) {
    io(self.node, self.replaces);
  }
};

// Sent by a joining node when it sees itself in its own copy of the meta state: it is alive, and
// has caught up. Now it gets its share.
struct ActivateNode {
  NodeId node;

  bool operator==(const ActivateNode&) const = default;
  template <class Self, class Io>
  static void fields(Self& self, Io& io) {
    io(self.node);
  }
};

struct SetNodeAddresses {
  NodeId node;
  Addresses addresses;

  bool operator==(const SetNodeAddresses&) const = default;
  template <class Self, class Io>
  static void fields(Self& self, Io& io) {
    io(self.node, self.addresses);
  }
};

struct SetNodeWeight {
  NodeId node;
  uint32_t weight = kWeightDefault;

  bool operator==(const SetNodeWeight&) const = default;
  template <class Self, class Io>
  static void fields(Self& self, Io& io) {
    io(self.node, self.weight);
  }
};

// Moves the node's replicas away. Refused if fewer nodes than replicas would be left.
struct DrainNode {
  NodeId node;
  bool then_remove = false;

  bool operator==(const DrainNode&) const = default;
  template <class Self, class Io>
  static void fields(Self& self, Io& io) {
    io(self.node, self.then_remove);
  }
};

// Takes a draining node back.
struct ResumeNode {
  NodeId node;

  bool operator==(const ResumeNode&) const = default;
  template <class Self, class Io>
  static void fields(Self& self, Io& io) {
    io(self.node);
  }
};

// Only once no group needs it. With `force` at once, whatever is on it: for a machine that burnt.
struct RemoveNode {
  NodeId node;
  bool force = false;

  bool operator==(const RemoveNode&) const = default;
  template <class Self, class Io>
  static void fields(Self& self, Io& io) {
    io(self.node, self.force);
  }
};

// `target` takes exactly the share of `source`, which is then removed. No other replica moves.
struct ReplaceNode {
  NodeId source;
  NodeId target;

  bool operator==(const ReplaceNode&) const = default;
  template <class Self, class Io>
  static void fields(Self& self, Io& io) {
    io(self.source, self.target);
  }
};

// From the meta group's leader, which hears from every node. Changes who is to lead, and what the
// status shows; never where replicas are.
struct SetNodeDead {
  NodeId node;
  bool dead = false;

  bool operator==(const SetNodeDead&) const = default;
  template <class Self, class Io>
  static void fields(Self& self, Io& io) {
    io(self.node, self.dead);
  }
};

struct SetReplication {
  uint32_t replication = 3;

  bool operator==(const SetReplication&) const = default;
  template <class Self, class Io>
  static void fields(Self& self, Io& io) {
    io(self.replication);
  }
};

struct GroupReport {
  GroupId group;
  Reported reported;

  bool operator==(const GroupReport&) const = default;
  template <class Self, class Io>
  static void fields(Self& self, Io& io) {
    io(self.group, self.reported);
  }
};

// From groups' leaders, many in one command. Stale ones are passed over without a word.
struct ReportGroups {
  std::vector<GroupReport> reports;

  bool operator==(const ReportGroups&) const = default;
  template <class Self, class Io>
  static void fields(Self& self, Io& io) {
    io(self.reports);
  }
};

// Computes placement and leaders anew, as after any change of nodes.
struct Rebalance {
  bool operator==(const Rebalance&) const = default;
  template <class Self, class Io>
  static void fields(Self&, Io&) {}
};

struct CreateObject {
  ServiceId kind = ServiceId::kKv;
  std::string name;
  uint32_t partitions = 1;
  std::string options;

  bool operator==(const CreateObject&) const = default;
  template <class Self, class Io>
  static void fields(Self& self, Io& io) {
    io(self.kind, self.name, self.partitions, self.options);
  }
};

struct DeleteObject {
  ServiceId kind = ServiceId::kKv;
  std::string name;

  bool operator==(const DeleteObject&) const = default;
  template <class Self, class Io>
  static void fields(Self& self, Io& io) {
    io(self.kind, self.name);
  }
};

// Creates, or replaces what was there under the name.
struct PutPrincipal {
  Principal principal;

  bool operator==(const PutPrincipal&) const = default;
  template <class Self, class Io>
  static void fields(Self& self, Io& io) {
    io(self.principal);
  }
};

struct DeletePrincipal {
  PrincipalKind kind = PrincipalKind::kUser;
  std::string name;

  bool operator==(const DeletePrincipal&) const = default;
  template <class Self, class Io>
  static void fields(Self& self, Io& io) {
    io(self.kind, self.name);
  }
};

// Gives an object other options, or removes it, if it still is the one with this number and these
// options: several may change the same object, and a name may be given again.
struct ChangeObject {
  ServiceId kind = ServiceId::kKv;
  std::string name;
  uint64_t id = 0;
  std::string expected;
  std::string options;
  bool remove = false;

  bool operator==(const ChangeObject&) const = default;
  template <class Self, class Io>
  static void fields(Self& self, Io& io) {
    io(self.kind, self.name, self.id, self.expected, self.options, self.remove);
  }
};

using Command = std::variant<Bootstrap, AddNode, ActivateNode, SetNodeAddresses, SetNodeWeight,
                             DrainNode, ResumeNode, RemoveNode, ReplaceNode, SetNodeDead,
                             SetReplication, ReportGroups, Rebalance, CreateObject, DeleteObject,
                             PutPrincipal, DeletePrincipal, ChangeObject>;

[[nodiscard]] std::string encode_command(const Command& command);
// kInvalidArgument if the bytes are not exactly one command.
[[nodiscard]] Result<Command> decode_command(std::string_view bytes);

}  // namespace quorate::service::meta
