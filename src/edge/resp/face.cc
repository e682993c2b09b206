// SPDX-License-Identifier: Apache-2.0
#include "edge/resp/face.h"

#include "edge/resp/families.h"
#include "edge/resp/lock/lock_families.h"
#include "edge/resp/session/client.h"

namespace quorate::edge::resp {

namespace {

Table::Families families() {
  static const std::span<const Row> kFamilies[] = {
      string_rows(),     hash_rows(),   key_rows(),     walk_rows(), transaction_rows(),
      connection_rows(), server_rows(), cluster_rows(), lock_rows(), script_rows()};
  return kFamilies;
}

}  // namespace

Face::Face(const Parts& parts, Options options)
    : table_(families(), parts.metrics),
      server_(parts.loop, parts.clock, std::move(options.server), parts.metrics),
      context_({parts.kv, parts.locks, parts.clock, parts.topology, server_, table_}) {
  context_.version = std::move(options.version);
  context_.process = options.process;
  context_.resident_bytes = std::move(options.resident_bytes);
  context_.gate = options.gate;
  context_.begun = parts.clock.now();
  const auto wall = static_cast<uint64_t>(parts.clock.wall().micros());
  context_.random = wall;
  // No process gives a thousand cursors in a microsecond; and every client can hold 63 bits.
  context_.cursors.begin_at(wall << 10 & INT64_MAX);
  server_.set_sessions(
      [this](Connection& connection) { return std::make_unique<Client>(context_, connection); });
}

Result<uint16_t> Face::listen(const ListenOptions& options) {
  context_.host = options.address;
  return server_.listen(options);
}

}  // namespace quorate::edge::resp
