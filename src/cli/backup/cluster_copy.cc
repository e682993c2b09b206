// SPDX-License-Identifier: Apache-2.0
#include "cli/backup/cluster_copy.h"

#include <algorithm>
#include <boost/json/serialize.hpp>

#include "cli/backup/moment.h"
#include "cli/requests.h"

namespace quorate::cli {

namespace json = boost::json;
using client::Answer;

namespace {

// A group that changes faster than it is read is begun anew so many times.
constexpr int kTriesOfGroup = 5;

}  // namespace

Result<json::object> ask(Session& session, client::Call call) {
  const Result<Answer> answer = session.call(std::move(call));
  RETURN_IF_ERROR(answer);
  json::value body = parse_json(answer->body);
  if (!body.is_object()) {
    return Status(Code::kInternal, "the answer is no JSON object");
  }
  return std::move(body.get_object());
}

json::array list_at(const json::object& object, const char* name) {
  const json::value* list = object.if_contains(name);
  return list != nullptr && list->is_array() ? list->get_array() : json::array();
}

Result<ClusterShape> shape_of(Session& session) {
  const Result<json::object> status = ask(session, {.target = "/cluster/status"});
  RETURN_IF_ERROR(status);
  const size_t groups = list_at(*status, "groups").size();
  return ClusterShape{get_bytes(*status, "cluster"), std::max<size_t>(groups, 1) - 1};
}

Result<std::vector<json::object>> keyspaces_of(Session& session) {
  std::vector<json::object> found;
  std::string after;
  do {
    const Result<json::object> page =
        ask(session, {.target = Target("/v1/keyspaces").add("after", after).text()});
    RETURN_IF_ERROR(page);
    for (const json::value& each : list_at(*page, "keyspaces")) {
      if (each.is_object()) {
        found.push_back(each.get_object());
      }
    }
    after = get_bytes(*page, "after");
  } while (!after.empty());
  return found;
}

Result<std::vector<json::object>> indexes_of(Session& session, const std::string& keyspace) {
  const Result<json::object> list =
      ask(session, {.target = Target("/v1/kv:indexes").add("keyspace", keyspace).text()});
  RETURN_IF_ERROR(list);
  std::vector<json::object> found;
  for (const json::value& each : list_at(*list, "indexes")) {
    const std::string state = each.is_object() ? get_bytes(each.get_object(), "state") : "failed";
    if (state == "building" || state == "ready") {
      found.push_back(each.get_object());
    }
  }
  return found;
}

Status ClusterCopy::write(BlockKind kind, const json::object& body) {
  return file_.write(kind, json::serialize(body));
}

Result<bool> ClusterCopy::step() {
  if (in_group_) {
    RETURN_IF_ERROR(copy_page());
    return false;
  }
  if (group_ < shape_.groups) {
    RETURN_IF_ERROR(begin_group());
    return false;
  }
  RETURN_IF_ERROR(finish());
  return true;
}

Status ClusterCopy::begin_group() {
  if (group_ == 0) {
    RETURN_IF_ERROR(write(BlockKind::kHeader,
                          {{"format", 1}, {"cluster", shape_.cluster}, {"groups", shape_.groups}}));
  }
  ++group_;
  tries_ = 0;
  in_group_ = true;
  cursor_.clear();
  return write(BlockKind::kGroup, {{"group", group_}});
}

// Begins the group anew if it was changed by more than its history holds since the last page.
Status ClusterCopy::copy_page() {
  json::object query = {{"group", group_}};
  if (!cursor_.empty()) {
    query["cursor"] = cursor_;
  }
  const Result<json::object> page =
      ask(session_, {.method = "POST", .target = "/v1/kv:dump", .body = json::serialize(query)});
  if (page.status().code() == Code::kPreconditionFailed && ++tries_ < kTriesOfGroup) {
    cursor_.clear();
    return write(BlockKind::kGroup, {{"group", group_}});
  }
  RETURN_IF_ERROR(page);
  return take_page(*page);
}

Status ClusterCopy::take_page(const json::object& page) {
  const json::array list = list_at(page, "entries");
  if (!list.empty()) {
    RETURN_IF_ERROR(write(BlockKind::kPage, {{"group", group_}, {"entries", list}}));
  }
  entries_ += list.size();
  cursor_ = get_bytes(page, "cursor");
  const json::value* const flag = page.if_contains("complete");
  if (flag == nullptr || !flag->is_bool() || !flag->get_bool()) {
    return Status::success();
  }
  const Copied copied{get_number(page, "revision"), get_number(page, "at_ms")};
  complete_[group_] = copied;
  end_ms_ = std::max(end_ms_, copied.at_ms);
  in_group_ = false;
  return write(BlockKind::kComplete,
               {{"group", group_}, {"revision", copied.revision}, {"at_ms", copied.at_ms}});
}

// By the group that was copied last, whose history most probably goes back to its copy.
Status ClusterCopy::take_time() {
  if (complete_.empty()) {
    return Status::success();
  }
  const json::object query = {
      {"group", group_}, {"after", complete_.at(group_).revision}, {"limit", 1}};
  const Result<json::object> trail =
      ask(session_, {.method = "POST", .target = "/v1/kv:trail", .body = json::serialize(query)});
  if (trail.status().code() == Code::kPreconditionFailed) {
    end_ms_ = std::max(end_ms_, now_millis());
    return Status::success();
  }
  RETURN_IF_ERROR(trail);
  end_ms_ = std::max(end_ms_, get_number(*trail, "at_ms"));
  return Status::success();
}

// Keyspaces and indexes come last. A change of theirs before this moment is in the file, and one
// after the copy of its group is in the archive's changes too: to do it twice makes no difference.
Status ClusterCopy::finish() {
  const Result<std::vector<json::object>> keyspaces = keyspaces_of(session_);
  RETURN_IF_ERROR(keyspaces);
  std::vector<Block> blocks;
  for (const json::object& keyspace : *keyspaces) {
    if (get_bytes(keyspace, "state") == "dropping") {
      continue;
    }
    const Result<std::vector<json::object>> indexes =
        indexes_of(session_, get_bytes(keyspace, "name"));
    if (indexes.status().code() == Code::kNotFound) {
      continue;  // it was dropped meanwhile
    }
    RETURN_IF_ERROR(indexes);
    blocks.push_back({BlockKind::kKeyspace, json::serialize(keyspace)});
    for (json::object index : *indexes) {
      index["keyspace"] = get_number(keyspace, "id");
      blocks.push_back({BlockKind::kIndex, json::serialize(index)});
    }
  }
  RETURN_IF_ERROR(take_time());
  for (const Block& block : blocks) {
    RETURN_IF_ERROR(file_.write(block.kind, block.body));
  }
  RETURN_IF_ERROR(write(BlockKind::kEnd, {{"entries", entries_}, {"at_ms", end_ms_}}));
  return file_.finish();
}

}  // namespace quorate::cli
