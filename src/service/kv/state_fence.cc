// SPDX-License-Identifier: Apache-2.0
// Commands under a fence. Marks stand beside the keys that they guard, one per lock and keyspace,
// so that they go the way of all records: into snapshot and digest, and away when their time is
// over.
#include "base/assert.h"
#include "base/limits.h"
#include "service/kv/state.h"

namespace quorate::service::kv {
namespace {

std::string mark_key(KeyspaceId keyspace, const Fence& fence) {
  return std::string(TableKey(keyspace, RecordKind::kSpace, kMark + mark_name(fence)).view());
}

}  // namespace

// The token counts as seen before the command is looked at: its holder is the newest, whatever
// becomes of what he asks for.
Answer State::run(const Fenced& command, const Moment& moment) {
  const KeyspaceId keyspace =
      std::visit([](const auto& fields) { return fields.keyspace; }, command.op);
  if (Status refusal = pass_fence(keyspace, command.fence, moment.at); !refusal.ok()) {
    return refusal;
  }
  return std::visit([&](const auto& fields) { return run(fields, moment); }, command.op);
}

Status State::pass_fence(KeyspaceId keyspace, const Fence& fence, Stamp at) {
  const auto space = spaces_.find(keyspace);
  if (space != spaces_.end() && space->second.record.fate != SpaceRecord::Fate::kLives) {
    return Status(Code::kNotFound, "the keyspace was dropped");
  }
  const std::string key = mark_key(keyspace, fence);
  const Table::Place place = table_.locate(key);
  const FenceMark before = place.found() ? mark_of(table_.record(place)) : FenceMark{};
  const Result<FenceMark> after = pass(fence, before, at);
  RETURN_IF_ERROR(after);
  if (*after == before) {
    return Status::success();
  }
  if (!place.found() && table_.bytes() + key.size() > limits::kKvBytesMax) {
    return Status(Code::kQuotaExceeded, "the group holds as many bytes as it may");
  }
  set_due(key, place.found() ? before.end : Stamp::never(), after->end);
  table_.put(place, {encode_mark(*after), {}});
  return Status::success();
}

}  // namespace quorate::service::kv
