// SPDX-License-Identifier: Apache-2.0
#include "cli/kv/upload.h"

#include <boost/json/serialize.hpp>
#include <chrono>

#include "base/limits.h"
#include "cli/requests.h"

namespace quorate::cli {

namespace json = boost::json;

namespace {

constexpr size_t kBatchBytes = limits::kRequestBytesMax / 4;

uint64_t now_millis() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(since).count());
}

void copy_bytes(const json::object& source, const char* name, json::object& target) {
  for (const std::string& field : {std::string(name), std::string(name) + "_base64"}) {
    if (const json::value* value = source.if_contains(field)) {
      target[field] = *value;
    }
  }
}

}  // namespace

Upload::Upload(Session& session, std::string keyspace, std::optional<uint64_t> then)
    : session_(session), keyspace_(std::move(keyspace)), then_(then) {}

std::string Upload::target(std::string path) const {
  Target target(std::move(path));
  if (!keyspace_.empty()) {
    target.add("keyspace", keyspace_);
  }
  return target.text();
}

Status Upload::add(const json::object& entry) {
  json::object item;
  copy_bytes(entry, "key", item);
  if (item.empty()) {
    return Status(Code::kInvalidArgument, "an entry without a key");
  }
  const uint64_t end = get_number(entry, "expires_at_ms");
  const uint64_t now = end == 0 ? 0 : then_.value_or(now_millis());
  if (entry.contains("gone") || (end != 0 && end <= now)) {
    gone_keys_.insert(get_bytes(item, "key"));
    gone_.push_back(std::move(item));
    return gone_.size() < limits::kBatchItemsMax ? Status::success() : finish();
  }
  if (gone_keys_.contains(get_bytes(item, "key"))) {
    RETURN_IF_ERROR(finish());  // else it would be deleted after it was stored
  }
  copy_bytes(entry, "value", item);
  if (const json::value* ttl = entry.if_contains("ttl"); ttl != nullptr && end == 0) {
    item["ttl"] = *ttl;
  } else if (end != 0) {
    item["ttl"] = std::to_string(end - now) + "ms";
  }
  items_ += (items_.empty() ? "" : ",") + json::serialize(item);
  ++items_count_;
  const bool is_full = items_.size() >= kBatchBytes || items_count_ == limits::kBatchItemsMax;
  return is_full ? send_items() : Status::success();
}

Status Upload::send_items() {
  if (items_count_ == 0) {
    return Status::success();
  }
  const Result<client::Answer> answer =
      session_.write({.method = "POST",
                      .target = target("/v1/kv:put_many"),
                      .body = "{\"items\":[" + std::exchange(items_, {}) + "]}"});
  RETURN_IF_ERROR(answer);
  stored_ += std::exchange(items_count_, 0);
  return Status::success();
}

Status Upload::send_gone() {
  if (gone_.empty()) {
    return Status::success();
  }
  gone_keys_.clear();
  const json::object body = {{"keys", std::exchange(gone_, {})}};
  return Status(session_.write(
      {.method = "POST", .target = target("/v1/kv:delete_many"), .body = json::serialize(body)}));
}

Status Upload::finish() {
  RETURN_IF_ERROR(send_items());
  return send_gone();
}

}  // namespace quorate::cli
