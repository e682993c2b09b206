// SPDX-License-Identifier: Apache-2.0
// Upload: many keys sent in batches of a size that the server takes, with one batch in memory.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <optional>
#include <set>
#include <string>

#include "cli/session.h"

namespace quorate::cli {

class Upload {
 public:
  // Ends are as far away as they were `then` (milliseconds since 1970); if that is not given, where
  // they were.
  Upload(Session& session, std::string keyspace, std::optional<uint64_t> then = {});

  // {"key","value","expires_at_ms" or "ttl"}, or {"key","gone":true}; bytes also as "..._base64".
  // What has ended is deleted. A later entry of a key replaces an earlier one. kInvalidArgument
  // without a key.
  [[nodiscard]] Status add(const boost::json::object& entry);
  [[nodiscard]] Status finish();
  [[nodiscard]] uint64_t stored() const { return stored_; }

 private:
  [[nodiscard]] Status send_items();
  [[nodiscard]] Status send_gone();
  [[nodiscard]] std::string target(std::string path) const;

  Session& session_;
  const std::string keyspace_;
  const std::optional<uint64_t> then_;
  std::string items_;  // in the making, separated by commas
  size_t items_count_ = 0;
  boost::json::array gone_;
  std::set<std::string> gone_keys_;
  uint64_t stored_ = 0;
};

}  // namespace quorate::cli
