// SPDX-License-Identifier: Apache-2.0
// What the meta group knows: nodes, groups and where their replicas are, named objects, users.
//
// For each group four things stand side by side, and placement is the work of making the third
// equal to the second:
//   birth      the members the group was born with: the configuration at index 0 of its log
//   wanted     where its replicas shall be; computed in apply() by placement.h
//   reported   where they are, by the newest configuration its leader has told
//   preferred  who shall lead it, so that leaders are spread evenly
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "service/machine.h"
#include "service/meta/fields.h"

namespace quorate::service::meta {

inline constexpr GroupId kMetaGroup{};

// joining -> active -> draining -> removed; draining may go back to active. An identifier is never
// used again. A removed node stays in the table for long, so that it can be told so when it knocks.
enum class NodeState : uint8_t {
  kJoining = 1,   // known, follows the meta group; gets its share once it says that it is there
  kActive = 2,    // has its share of replicas
  kDraining = 3,  // its replicas move away; still follows the meta group
  kRemoved = 4,   // belongs no more
};

enum class Role : uint8_t {
  kVoter = 1,
  kWitness = 2,  // votes and keeps the log, but no state; never leads
};

enum class PrincipalKind : uint8_t { kUser = 1, kToken = 2 };

// Bits of Grant::rights.
inline constexpr uint8_t kRightRead = 1;
inline constexpr uint8_t kRightWrite = 2;
inline constexpr uint8_t kRightAdmin = 4;
inline constexpr uint8_t kRightsAll = kRightRead | kRightWrite | kRightAdmin;

template <>
struct Known<NodeState> {
  static constexpr NodeState kFirst = NodeState::kJoining;
  static constexpr NodeState kLast = NodeState::kRemoved;
};
template <>
struct Known<Role> {
  static constexpr Role kFirst = Role::kVoter;
  static constexpr Role kLast = Role::kWitness;
};
template <>
struct Known<PrincipalKind> {
  static constexpr PrincipalKind kFirst = PrincipalKind::kUser;
  static constexpr PrincipalKind kLast = PrincipalKind::kToken;
};
template <>
struct Known<ServiceId> {
  static constexpr ServiceId kFirst = ServiceId::kNode;
  static constexpr ServiceId kLast = ServiceId::kMeta;
};

struct Addresses {
  std::string raft;  // host:port of the node-to-node protocol; the only one that must be there
  std::string http;
  std::string resp;

  bool operator==(const Addresses&) const = default;
  template <class Self, class Io>
  static void fields(Self& self, Io& io) {
    io(self.raft, self.http, self.resp);
  }
};

inline constexpr uint32_t kWeightDefault = 100;
inline constexpr uint32_t kWeightMax = 10'000;

struct Node {
  NodeId id;
  Addresses addresses;
  std::string label;                 // for people: a rack, a zone
  uint32_t weight = kWeightDefault;  // its share of replicas and leaders; 0: none
  NodeState state = NodeState::kJoining;
  bool dead = false;                 // the meta group's leader has not heard from it for long
  bool leaving = false;              // draining, and removed as soon as nothing needs it
  NodeId replaces;                   // takes over exactly this node's share when it becomes active
  Stamp changed_at;

  bool operator==(const Node&) const = default;
  template <class Self, class Io>
  static void fields(Self& self, Io& io) {
    io(self.id, self.addresses, self.label, self.weight, self.state, self.dead, self.leaving,
       self.replaces, self.changed_at);
  }
};

struct Replica {
  NodeId node;
  Role role = Role::kVoter;

  auto operator<=>(const Replica&) const = default;
  template <class Self, class Io>
  static void fields(Self& self, Io& io) {
    io(self.node, self.role);
  }
};

// A group's configuration as its leader knows it; sorted, as raft::Config is.
struct Members {
  std::vector<NodeId> voters;
  std::vector<NodeId> outgoing;   // not empty: joint
  std::vector<NodeId> learners;
  std::vector<NodeId> witnesses;  // subset of the voters

  bool operator==(const Members&) const = default;
  template <class Self, class Io>
  static void fields(Self& self, Io& io) {
    io(self.voters, self.outgoing, self.learners, self.witnesses);
  }
};

// What leaders told about a group. Term zero: nobody has told anything yet.
struct Reported {
  Term term;            // of the newest leader that has reported
  NodeId leader;
  Index config_index;   // of `members`; only a greater one replaces them
  Members members;

  bool operator==(const Reported&) const = default;
  template <class Self, class Io>
  static void fields(Self& self, Io& io) {
    io(self.term, self.leader, self.config_index, self.members);
  }
};

struct Group {
  GroupId id;
  uint32_t slot_begin = 0;          // owns the hash slots [begin, end); the meta group owns none
  uint32_t slot_end = 0;
  std::vector<Replica> birth;       // sorted by node
  std::vector<Replica> wanted;      // sorted by node
  std::vector<NodeId> learners;     // wanted learners: in the meta group all other nodes
  NodeId preferred;                 // none: whoever is elected
  uint64_t epoch = 0;               // grows when wanted, learners or preferred change
  Reported reported;

  bool operator==(const Group&) const = default;
  template <class Self, class Io>
  static void fields(Self& self, Io& io) {
    io(self.id, self.slot_begin, self.slot_end, self.birth, self.wanted, self.learners,
       self.preferred, self.epoch, self.reported);
  }
};

struct Settings {
  uint64_t cluster_id = 0;          // zero: not bootstrapped
  uint32_t replication = 3;         // a group has this many replicas, or as many as there are nodes
  bool witness = false;             // one of three or more replicas is a witness
  uint32_t meta_voters_max = 5;     // of the meta group; further nodes learn

  bool operator==(const Settings&) const = default;
  template <class Self, class Io>
  static void fields(Self& self, Io& io) {
    io(self.cluster_id, self.replication, self.witness, self.meta_voters_max);
  }
};

// Everything that routing and placement need; each node holds it as of its own applied index.
struct Map {
  Settings settings;
  uint64_t generation = 0;          // grows with each change of the meta group's state
  NodeId ids_spent;                 // identifiers up to here are not given to anybody any more
  std::vector<Node> nodes;          // sorted by id
  std::vector<Group> groups;        // position = id; the meta group is the first

  [[nodiscard]] const Node* node(NodeId id) const;
  [[nodiscard]] Node* node(NodeId id);
  [[nodiscard]] const Group* group(GroupId id) const;
  [[nodiscard]] Group* group(GroupId id);
  [[nodiscard]] GroupId group_of_slot(uint16_t slot) const;

  bool operator==(const Map&) const = default;
  template <class Self, class Io>
  static void fields(Self& self, Io& io) {
    io(self.settings, self.generation, self.ids_spent, self.nodes, self.groups);
  }
};

// A named object: a keyspace, a lock domain, a queue, a cache region, a stream job.
struct Object {
  ServiceId kind = ServiceId::kKv;
  std::string name;
  uint64_t id = 0;                  // never used again
  std::vector<GroupId> partitions;  // the group of each partition, in order
  std::string options;              // in the service's own encoding
  Stamp created_at;

  bool operator==(const Object&) const = default;
  template <class Self, class Io>
  static void fields(Self& self, Io& io) {
    io(self.kind, self.name, self.id, self.partitions, self.options, self.created_at);
  }
};

struct Grant {
  ServiceId service = ServiceId::kNode;  // kNode: every service
  std::string prefix;                    // of names; empty: all
  uint8_t rights = 0;
  std::string scope = {};  // the object (a keyspace, say) the names are in; "*": each; else none

  bool operator==(const Grant&) const = default;
  template <class Self, class Io>
  static void fields(Self& self, Io& io) {
    io(self.service, self.prefix, self.rights, self.scope);
  }
};

// Who may do what. The secret itself is never here: `hash` is what the edge's verifier made of it.
struct Principal {
  PrincipalKind kind = PrincipalKind::kUser;
  std::string name;
  std::string hash;
  std::vector<Grant> grants;
  Stamp expires_at = Stamp::never();

  bool operator==(const Principal&) const = default;
  template <class Self, class Io>
  static void fields(Self& self, Io& io) {
    io(self.kind, self.name, self.hash, self.grants, self.expires_at);
  }
};

// True if the configuration names the node in any part.
[[nodiscard]] bool names(const Members& members, NodeId node);
[[nodiscard]] bool contains(const std::vector<NodeId>& nodes, NodeId node);
[[nodiscard]] const Replica* find_replica(const std::vector<Replica>& replicas, NodeId node);
[[nodiscard]] std::string_view name_of(NodeState state);
[[nodiscard]] std::string_view name_of(ServiceId service);

}  // namespace quorate::service::meta
