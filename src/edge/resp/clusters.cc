// SPDX-License-Identifier: Apache-2.0
// The commands of Redis Cluster: slots, and which node to ask for them. Any node answers for any
// key; who follows the map saves one hop.
#include <algorithm>
#include <cstdio>

#include "edge/resp/families.h"
#include "edge/resp/help.h"
#include "edge/resp/session/client.h"
#include "edge/resp/walk.h"

namespace quorate::edge::resp {

std::string node_name(uint64_t cluster, NodeId node) {
  char text[41];
  std::snprintf(text, sizeof(text), "%016llx%024llx", static_cast<unsigned long long>(cluster),
                static_cast<unsigned long long>(node.value()));
  return text;
}

namespace {

namespace kv = service::kv;

bool is_served(const ClusterView& view, NodeId id) {
  const NodeView* const node = view.node(id);
  return node != nullptr && !node->host.empty();
}

// Whom to ask for the slots: their leader; while none is known, another replica; and this node if
// those serve no Redis clients. So a client always has the whole map, and any node takes any key.
NodeId first_of(const ClusterView& view, const SlotsView& slots) {
  if (is_served(view, slots.leader)) {
    return slots.leader;
  }
  const auto other = std::find_if(slots.others.begin(), slots.others.end(),
                                  [&](NodeId id) { return is_served(view, id); });
  return slots.leader.none() && other != slots.others.end() ? *other : view.self;
}

std::vector<NodeId> rest_of(const ClusterView& view, const SlotsView& slots) {
  std::vector<NodeId> rest = slots.others;
  std::erase_if(rest,
                [&](NodeId id) { return !is_served(view, id) || id == first_of(view, slots); });
  return rest;
}

// ---- SLOTS --------------------------------------------------------------------------------------

void tell_node(const ClusterView& view, NodeId id, Reply& reply) {
  const NodeView& node = *view.node(id);
  reply.array(4);
  reply.bulk(node.host);
  reply.integer(node.port);
  reply.bulk(node_name(view.cluster_id, id));
  reply.array(0);
}

void run_slots(Client& client, Arguments, Reply& reply) {
  const ClusterView view = client.context().topology.view();
  reply.array(view.slots.size());
  for (const SlotsView& slots : view.slots) {
    const std::vector<NodeId> rest = rest_of(view, slots);
    reply.array(3 + rest.size());
    reply.integer(slots.first);
    reply.integer(slots.last);
    tell_node(view, first_of(view, slots), reply);
    for (const NodeId id : rest) {
      tell_node(view, id, reply);
    }
  }
}

// ---- SHARDS -------------------------------------------------------------------------------------

void tell_shard_node(const ClusterView& view, NodeId id, bool leads, Reply& reply) {
  const NodeView& node = *view.node(id);
  reply.map(7);
  reply.bulk("id");
  reply.bulk(node_name(view.cluster_id, id));
  reply.bulk("port");
  reply.integer(node.port);
  reply.bulk("ip");
  reply.bulk(node.host);
  reply.bulk("endpoint");
  reply.bulk(node.host);
  reply.bulk("role");
  reply.bulk(leads ? "master" : "replica");
  reply.bulk("replication-offset");
  reply.integer(0);
  reply.bulk("health");
  reply.bulk(node.alive ? "online" : "fail");
}

// One shard per node that leads anything: Redis's clients take a node for the master of one shard.
void run_shards(Client& client, Arguments, Reply& reply) {
  const ClusterView view = client.context().topology.view();
  std::vector<NodeId> leaders;
  for (const NodeView& node : view.nodes) {
    const auto leads = [&](const SlotsView& slots) { return first_of(view, slots) == node.id; };
    if (!node.host.empty() && std::any_of(view.slots.begin(), view.slots.end(), leads)) {
      leaders.push_back(node.id);
    }
  }
  reply.array(leaders.size());
  for (const NodeId leader : leaders) {
    std::vector<int64_t> ends;
    for (const SlotsView& slots : view.slots) {
      if (first_of(view, slots) == leader) {
        ends.push_back(slots.first);
        ends.push_back(slots.last);
      }
    }
    reply.map(2);
    reply.bulk("slots");
    reply.array(ends.size());
    for (const int64_t end : ends) {
      reply.integer(end);
    }
    reply.bulk("nodes");
    reply.array(1);
    tell_shard_node(view, leader, true, reply);
  }
}

// ---- NODES --------------------------------------------------------------------------------------

void run_nodes(Client& client, Arguments, Reply& reply) {
  const ClusterView view = client.context().topology.view();
  std::string text;
  for (const NodeView& node : view.nodes) {
    text += node_name(view.cluster_id, node.id) + " " + node.host + ":" +
            std::to_string(node.port) + "@" + std::to_string(node.peer_port) + " ";
    text += node.id == view.self ? "myself,master" : node.alive ? "master" : "master,fail";
    text += " - 0 0 " + std::to_string(view.epoch) + (node.alive ? " connected" : " disconnected");
    for (const SlotsView& slots : view.slots) {
      if (first_of(view, slots) == node.id) {
        text += " " + std::to_string(slots.first) + "-" + std::to_string(slots.last);
      }
    }
    text += "\n";
  }
  reply.verbatim(text);
}

void run_myid(Client& client, Arguments, Reply& reply) {
  const ClusterView view = client.context().topology.view();
  reply.bulk(node_name(view.cluster_id, view.self));
}

// ---- INFO ---------------------------------------------------------------------------------------

void run_cluster_info(Client& client, Arguments, Reply& reply) {
  const ClusterView view = client.context().topology.view();
  size_t led = 0;
  std::vector<NodeId> leaders;
  for (const SlotsView& slots : view.slots) {
    if (!slots.leader.none()) {
      led += size_t{slots.last} - slots.first + 1;
      leaders.push_back(slots.leader);
    }
  }
  std::sort(leaders.begin(), leaders.end());
  leaders.erase(std::unique(leaders.begin(), leaders.end()), leaders.end());
  const auto line = [](std::string_view name, uint64_t value) {
    return std::string(name) + ":" + std::to_string(value) + "\r\n";
  };
  reply.verbatim(
      std::string("cluster_enabled:1\r\ncluster_state:") + (led == kSlots ? "ok" : "fail") +
      "\r\n" + line("cluster_slots_assigned", kSlots) + line("cluster_slots_ok", led) +
      line("cluster_slots_pfail", 0) + line("cluster_slots_fail", kSlots - led) +
      line("cluster_known_nodes", view.nodes.size()) + line("cluster_size", leaders.size()) +
      line("cluster_current_epoch", view.epoch) + line("cluster_my_epoch", view.epoch));
}

// ---- keys and slots -----------------------------------------------------------------------------

void run_keyslot(Client&, Arguments arguments, Reply& reply) {
  reply.integer(slot_of(arguments[2]));
}

bool parse_slot(std::string_view text, uint16_t& slot) {
  int64_t number = 0;
  const bool is_slot = parse_integer(text, number) && number >= 0 && number < int64_t{kSlots};
  slot = is_slot ? static_cast<uint16_t>(number) : 0;
  return is_slot;
}

struct InSlot {
  uint16_t slot = 0;
  uint64_t most = UINT64_MAX;
  bool names = false;
  int64_t count = 0;
  std::vector<std::string> keys;

  bool on_page(const kv::Page& page) {
    for (const kv::Item& item : page.items) {
      if (slot_of(item.key) == slot && static_cast<uint64_t>(count) < most) {
        ++count;
        if (names) {
          keys.emplace_back(item.key);
        }
      }
    }
    return static_cast<uint64_t>(count) < most;
  }

  void tell(Reply& reply) const {
    if (!names) {
      reply.integer(count);
      return;
    }
    reply.array(keys.size());
    for (const std::string& key : keys) {
      reply.bulk(key);
    }
  }
};

// Looks at every key of the group that owns the slot, for keys are not kept by slot.
void look_in_slot(Client& client, InSlot wanted, Ticket ticket) {
  kv::Api& kv = client.context().kv;
  Walk::Plan plan;
  plan.caller = client.caller();
  plan.begin = plan.last = kv.proposer().group_of_slot(wanted.slot);
  auto found = std::make_shared<InSlot>(std::move(wanted));
  Walk::start(
      kv, std::move(plan), [found](GroupId, const kv::Page& page) { return found->on_page(page); },
      [found, ticket, owner = client.connection().shared_from_this()](const Status& status) {
        owner->finish(ticket, [&](Reply& reply) {
          status.ok() ? found->tell(reply) : tell_failure(status, reply);
        });
      });
}

void start_countkeysinslot(Client& client, Arguments arguments, Ticket ticket) {
  InSlot wanted;
  if (parse_slot(arguments[2], wanted.slot)) {
    look_in_slot(client, std::move(wanted), ticket);
  } else {
    client.connection().finish(ticket, [](Reply& reply) { reply.error("ERR Invalid slot"); });
  }
}

void start_getkeysinslot(Client& client, Arguments arguments, Ticket ticket) {
  InSlot wanted;
  int64_t most = 0;
  wanted.names = true;
  if (parse_slot(arguments[2], wanted.slot) && parse_integer(arguments[3], most) && most >= 0) {
    wanted.most = std::min<uint64_t>(static_cast<uint64_t>(most), limits::kBatchItemsMax);
    look_in_slot(client, std::move(wanted), ticket);
  } else {
    client.connection().finish(
        ticket, [](Reply& reply) { reply.error("ERR Invalid slot or number of keys"); });
  }
}

// ---- how to read --------------------------------------------------------------------------------

// Reads are linearizable either way.
void run_readonly(Client& client, Arguments, Reply& reply) {
  client.read_only = true;
  reply.ok();
}

void run_readwrite(Client& client, Arguments, Reply& reply) {
  client.read_only = false;
  reply.ok();
}

void run_asking(Client&, Arguments, Reply& reply) { reply.ok(); }

constexpr uint32_t kAny = kLoading | kStale;

constexpr Row kClusterRows[] = {
    {"slots", 2, kAny, 0, 0, 0, "cluster", "3.0.0", "Which node leads which slots.", nullptr,
     run_slots},
    {"shards", 2, kAny, 0, 0, 0, "cluster", "7.0.0", "Which node leads which slots.", nullptr,
     run_shards},
    {"nodes", 2, kAny, 0, 0, 0, "cluster", "3.0.0", "The nodes, and the slots that they lead.",
     nullptr, run_nodes},
    {"info", 2, kAny, 0, 0, 0, "cluster", "3.0.0", "How the cluster is.", nullptr,
     run_cluster_info},
    {"myid", 2, kAny, 0, 0, 0, "cluster", "3.0.0", "The name of this node.", nullptr, run_myid},
    {"keyslot", 3, kAny, 0, 0, 0, "cluster", "3.0.0", "The slot of a key.", nullptr, run_keyslot},
    {"countkeysinslot", 3, kAny, 0, 0, 0, "cluster", "3.0.0", "Counts the keys of a slot.", nullptr,
     nullptr, start_countkeysinslot},
    {"getkeysinslot", 4, kAny, 0, 0, 0, "cluster", "3.0.0", "Lists keys of a slot.", nullptr,
     nullptr, start_getkeysinslot},
    {"help", 2, kAny, 0, 0, 0, "cluster", "5.0.0", "Lists the subcommands.", nullptr, run_help},
};

constexpr Row kRows[] = {
    {"cluster", -2, kAny, 0, 0, 0, "cluster", "3.0.0", "About nodes and slots.", nullptr, nullptr,
     nullptr, kClusterRows},
    {"readonly", 1, kFast | kAny, 0, 0, 0, "cluster", "3.0.0", "Taken note of.", nullptr,
     run_readonly},
    {"readwrite", 1, kFast | kAny, 0, 0, 0, "cluster", "3.0.0", "Taken note of.", nullptr,
     run_readwrite},
    {"asking", 1, kFast, 0, 0, 0, "cluster", "3.0.0", "Never needed: slots do not move.", nullptr,
     run_asking},
};

}  // namespace

std::span<const Row> cluster_rows() { return kRows; }

}  // namespace quorate::edge::resp
