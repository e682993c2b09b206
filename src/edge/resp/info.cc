// SPDX-License-Identifier: Apache-2.0
#include "edge/resp/info.h"

#include <algorithm>
#include <functional>

#include "edge/resp/families.h"
#include "edge/resp/help.h"
#include "edge/resp/session/client.h"

namespace quorate::edge::resp {
namespace {

namespace kv = service::kv;

// Appends "name:value" lines under headings.
class Page {
 public:
  void section(std::string_view title) {
    text_ += (text_.empty() ? "# " : "\r\n# ") + std::string(title) + "\r\n";
  }
  void line(std::string_view name, std::string_view value) {
    text_.append(name).append(":").append(value).append("\r\n");
  }
  void line(std::string_view name, uint64_t value) { line(name, std::to_string(value)); }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

struct Facts {
  Context& context;
  const kv::Usage& usage;
};

void add_server(const Facts& facts, Page& page) {
  const Context& context = facts.context;
  const ClusterView view = facts.context.topology.view();
  const auto uptime = static_cast<uint64_t>((context.clock.now() - context.begun).millis() / 1'000);
  page.line("redis_version", kRedisVersion);
  page.line("redis_mode", "cluster");
  page.line("quorate_version", context.version);
  page.line("os", "Linux");
  page.line("arch_bits", 64);
  page.line("multiplexing_api", "epoll");
  page.line("process_id", context.process);
  page.line("run_id", node_name(view.cluster_id, view.self));
  const NodeView* const self = view.node(view.self);
  page.line("tcp_port", self == nullptr ? 0 : self->port);
  page.line("server_time_usec", static_cast<uint64_t>(context.clock.wall().micros()));
  page.line("uptime_in_seconds", uptime);
  page.line("uptime_in_days", uptime / 86'400);
}

void add_clients(const Facts& facts, Page& page) {
  page.line("connected_clients", facts.context.server.connections());
  page.line("maxclients", facts.context.server.connections_max());
  page.line("blocked_clients", uint64_t{0});
}

// As Redis has it: "1.50M".
std::string human(uint64_t bytes) {
  constexpr std::string_view kUnits = "BKMGT";
  size_t unit = 0;
  uint64_t scale = 1;
  while (bytes / scale >= 1024 && unit + 1 < kUnits.size()) {
    scale *= 1024;
    ++unit;
  }
  if (unit == 0) {
    return std::to_string(bytes) + "B";
  }
  const std::string hundredths = std::to_string(100 + bytes % scale * 100 / scale).substr(1);
  return std::to_string(bytes / scale) + "." + hundredths + kUnits[unit];
}

void add_memory(const Facts& facts, Page& page) {
  if (facts.context.resident_bytes) {
    const uint64_t resident = facts.context.resident_bytes();
    for (const std::string_view name : {"used_memory", "used_memory_rss"}) {
      page.line(name, resident);
      page.line(std::string(name) + "_human", human(resident));
    }
  }
  page.line("used_memory_dataset", facts.usage.bytes);
  page.line("maxmemory", uint64_t{0});
  page.line("maxmemory_policy", "noeviction");
}

void add_persistence(const Facts&, Page& page) {
  page.line("loading", uint64_t{0});
  page.line("rdb_bgsave_in_progress", uint64_t{0});
  page.line("aof_enabled", 1);
  page.line("aof_last_write_status", "ok");
}

void add_stats(const Facts& facts, Page& page) {
  page.line("total_connections_received", facts.context.server.accepted());
  page.line("rejected_connections", facts.context.server.refused());
  page.line("total_commands_processed", facts.context.commands);
  page.line("total_error_replies", facts.context.errors);
  page.line("quorate_reads_here", facts.context.reads_here);
}

void add_replication(const Facts&, Page& page) {
  page.line("role", "master");
  page.line("connected_slaves", uint64_t{0});
  page.line("master_repl_offset", uint64_t{0});
}

void add_command_stats(const Facts& facts, Page& page) {
  const auto add = [&page](const Table::Entry& entry) {
    if (entry.calls == 0 && entry.rejected == 0) {
      return;
    }
    const Histogram* const seconds = entry.seconds;
    const uint64_t micros = seconds == nullptr ? 0 : seconds->sum() / 1'000;
    page.line("cmdstat_" + entry.name,
              "calls=" + std::to_string(entry.calls) + ",usec=" + std::to_string(micros) +
                  ",usec_per_call=" + std::to_string(entry.calls == 0 ? 0 : micros / entry.calls) +
                  ".00,rejected_calls=" + std::to_string(entry.rejected) + ",failed_calls=0");
  };
  for (const Table::Entry* entry : facts.context.table.commands()) {
    add(*entry);
    for (const Table::Entry* subcommand : entry->subcommands) {
      add(*subcommand);
    }
  }
}

void add_cluster(const Facts&, Page& page) { page.line("cluster_enabled", 1); }

void add_keyspace(const Facts& facts, Page& page) {
  if (facts.usage.keys > 0) {
    page.line("db0", "keys=" + std::to_string(facts.usage.keys) +
                         ",expires=" + std::to_string(facts.usage.expiring) + ",avg_ttl=0");
  }
}

struct Section {
  std::string_view name;
  std::string_view title;
  bool by_default;
  void (*add)(const Facts&, Page&);
};

constexpr Section kSections[] = {
    {"server", "Server", true, add_server},
    {"clients", "Clients", true, add_clients},
    {"memory", "Memory", true, add_memory},
    {"persistence", "Persistence", true, add_persistence},
    {"stats", "Stats", true, add_stats},
    {"replication", "Replication", true, add_replication},
    {"commandstats", "Commandstats", false, add_command_stats},
    {"cluster", "Cluster", true, add_cluster},
    {"keyspace", "Keyspace", true, add_keyspace},
};

bool is_wanted(const Section& section, const std::vector<std::string>& words) {
  if (words.empty()) {
    return section.by_default;
  }
  return std::any_of(words.begin(), words.end(), [&](const std::string& word) {
    return word == section.name || word == "all" || word == "everything" ||
           (word == "default" && section.by_default);
  });
}

}  // namespace

void start_info(Client& client, Arguments arguments, Ticket ticket) {
  std::vector<std::string> words;
  for (const std::string_view word : arguments.subspan(1)) {
    words.push_back(lower_case(word));
  }
  Context& context = client.context();
  context.kv.stats(
      {}, {.caller = client.caller()},
      [&context, ticket, words = std::move(words), owner = client.connection().shared_from_this()](
          const Status&, const kv::Usage& usage, const service::Origin&) {
        // Without a leader, or without the right, the keys are not counted, and the rest is wanted
        // all the more.
        Page page;
        for (const Section& section : kSections) {
          if (is_wanted(section, words)) {
            page.section(section.title);
            section.add({context, usage}, page);
          }
        }
        owner->finish(ticket, [&page](Reply& reply) { reply.verbatim(page.text()); });
      });
}

}  // namespace quorate::edge::resp
