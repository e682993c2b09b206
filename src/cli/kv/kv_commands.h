// SPDX-License-Identifier: Apache-2.0
// The commands of "quorate kv", one function per row of its table. Internal to the folder.
#pragma once

#include "cli/requests.h"
#include "cli/session.h"

namespace quorate::cli {

// One key; kv_single.cc.
[[nodiscard]] Exit kv_put(Session& session);
[[nodiscard]] Exit kv_cas(Session& session);
[[nodiscard]] Exit kv_get(Session& session);
[[nodiscard]] Exit kv_ttl(Session& session);
[[nodiscard]] Exit kv_del(Session& session);
[[nodiscard]] Exit kv_touch(Session& session);
[[nodiscard]] Exit kv_persist(Session& session);
[[nodiscard]] Exit kv_incr(Session& session);
[[nodiscard]] Exit kv_decr(Session& session);
[[nodiscard]] Exit kv_append(Session& session);
[[nodiscard]] Exit kv_set_range(Session& session);
[[nodiscard]] Exit kv_rate_limit(Session& session);

// Many keys; kv_many.cc.
[[nodiscard]] Exit kv_put_many(Session& session);
[[nodiscard]] Exit kv_get_many(Session& session);
[[nodiscard]] Exit kv_exists(Session& session);
[[nodiscard]] Exit kv_touch_many(Session& session);
[[nodiscard]] Exit kv_scan(Session& session);
[[nodiscard]] Exit kv_delete_range(Session& session);
[[nodiscard]] Exit kv_stats(Session& session);

// Prints the page that `target` answers to `query` and takes that on behind it; false at the end.
[[nodiscard]] Result<bool> print_page(Session& session, const Target& target,
                                      boost::json::object& query, uint64_t& left);

// Indexes; kv_index.cc.
[[nodiscard]] Exit kv_create_index(Session& session);
[[nodiscard]] Exit kv_drop_index(Session& session);
[[nodiscard]] Exit kv_indexes(Session& session);
[[nodiscard]] Exit kv_find(Session& session);

// Whole keyspaces; kv_transfer.cc.
[[nodiscard]] Exit kv_export(Session& session);
[[nodiscard]] Exit kv_import(Session& session);

// kv_watch.cc.
[[nodiscard]] Exit kv_txn(Session& session);
[[nodiscard]] Exit kv_watch(Session& session);

}  // namespace quorate::cli
