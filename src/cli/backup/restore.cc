// SPDX-License-Identifier: Apache-2.0
#include "cli/backup/restore.h"

#include <algorithm>
#include <boost/json/serialize.hpp>

#include "base/limits.h"
#include "base/text.h"
#include "cli/backup/cluster_copy.h"
#include "cli/backup/plan.h"
#include "cli/kv/upload.h"
#include "cli/requests.h"

namespace quorate::cli {
namespace {

namespace json = boost::json;
using client::Answer;

// The last of what came of each key, until there is enough of it for a batch: so a key that is
// written and deleted again and again is sent once, and batches keep the order of its changes.
class Batch {
 public:
  Batch(Session& session, std::map<uint64_t, std::string> names, std::optional<uint64_t> then)
      : session_(session), names_(std::move(names)), then_(then) {}

  Status add(uint64_t keyspace, const json::object& entry) {
    const auto name = names_.find(keyspace);
    if (name == names_.end()) {
      return Status::success();  // it was dropped while the backup was made
    }
    bytes_ += get_bytes(entry, "value").size() + kOverheadBytes;
    entries_[{keyspace, get_bytes(entry, "key")}] = entry;
    return bytes_ < kBytesMax && entries_.size() < kEntriesMax ? Status::success() : send();
  }

  Status send() {
    std::map<uint64_t, Upload> uploads;
    for (const auto& [place, entry] : entries_) {
      const auto upload =
          uploads.try_emplace(place.first, session_, names_.at(place.first), then_).first;
      RETURN_IF_ERROR(upload->second.add(entry));
    }
    for (auto& [id, upload] : uploads) {
      RETURN_IF_ERROR(upload.finish());
      stored_ += upload.stored();
    }
    entries_.clear();
    bytes_ = 0;
    return Status::success();
  }

  [[nodiscard]] uint64_t stored() const { return stored_; }

 private:
  static constexpr size_t kBytesMax = 8 * 1024 * 1024;
  static constexpr size_t kEntriesMax = limits::kBatchItemsMax;
  static constexpr size_t kOverheadBytes = 128;

  Session& session_;
  const std::map<uint64_t, std::string> names_;
  const std::optional<uint64_t> then_;
  std::map<PlacedKey, json::object> entries_;
  size_t bytes_ = 0;
  uint64_t stored_ = 0;
};

Status not_empty(const std::string& what) {
  return Status(Code::kPreconditionFailed,
                what + " is not empty; --force writes over what is there");
}

Status check_fresh(Session& session, const std::optional<std::string>& keyspace) {
  if (keyspace.has_value()) {
    const Result<json::object> there =
        ask(session, {.target = "/v1/keyspaces/" + percent_encode(*keyspace)});
    if (there.status().code() == Code::kNotFound) {
      return Status::success();
    }
    RETURN_IF_ERROR(there);
    return get_number(*there, "keys") == 0 ? Status::success() : not_empty("the keyspace");
  }
  const Result<json::object> stats = ask(session, {.target = "/v1/kv:stats"});
  const Result<std::vector<json::object>> keyspaces = keyspaces_of(session);
  RETURN_IF_ERROR(stats);
  RETURN_IF_ERROR(keyspaces);
  return get_number(*stats, "keys") == 0 && keyspaces->size() == 1 ? Status::success()
                                                                   : not_empty("the cluster");
}

// Whatever it says differs from what a fresh cluster has.
bool has_settings(const json::object& keyspace) {
  return get_number(keyspace, "keys_max") + get_number(keyspace, "bytes_max") != 0 ||
         (keyspace.contains("compress_above") &&
          get_number(keyspace, "compress_above") != limits::kKvCompressAboveDefault);
}

Status make_keyspace(Session& session, const json::object& keyspace, uint64_t groups) {
  const std::string name = get_bytes(keyspace, "name");
  json::object body = {{"keys_max", get_number(keyspace, "keys_max")},
                       {"bytes_max", get_number(keyspace, "bytes_max")}};
  const json::value* const above = keyspace.if_contains("compress_above");
  if (above != nullptr) {  // a backup of before says nothing of it
    body["compress_above"] = *above;
  }
  client::Call call{.method = "PUT", .target = "/v1/keyspaces/" + percent_encode(name)};
  if (name != "default") {
    call.method = "POST";
    call.target = "/v1/keyspaces";
    body["name"] = name;
    body["partitions"] = std::min<uint64_t>(get_number(keyspace, "partitions"), groups);
  } else if (!has_settings(keyspace)) {
    return Status::success();
  }
  call.body = json::serialize(body);
  const Result<Answer> made = session.write(std::move(call));
  return made.status().code() == Code::kAlreadyExists ? Status::success() : made.status();
}

// With the quota at once: what was within it fits again. Names by number, for the entries.
Result<std::map<uint64_t, std::string>> make_keyspaces(Session& session, const Plan& plan) {
  const Result<ClusterShape> shape = shape_of(session);
  RETURN_IF_ERROR(shape);
  std::map<uint64_t, std::string> names;
  for (const json::object& keyspace : plan.keyspaces()) {
    names[get_number(keyspace, "id")] = get_bytes(keyspace, "name");
    RETURN_IF_ERROR(make_keyspace(session, keyspace, std::max<uint64_t>(shape->groups, 1)));
  }
  return names;
}

// After the keys, so that none of the states that a replay goes through offends a unique one.
Status make_indexes(Session& session, const Plan& plan,
                    const std::map<uint64_t, std::string>& names) {
  for (const Plan::IndexWish& index : plan.indexes()) {
    const auto name = names.find(index.keyspace);
    if (name == names.end()) {
      continue;
    }
    Target target("/v1/kv:create_index");
    target.add("keyspace", name->second);
    RETURN_IF_ERROR(session.write(
        {.method = "POST", .target = target.text(), .body = json::serialize(index.body)}));
  }
  return Status::success();
}

Result<Plan::Wishes> read_wishes(const Arguments& arguments) {
  Plan::Wishes wishes;
  wishes.keyspace = arguments.value("--keyspace");
  if (const auto text = arguments.value("--at")) {
    Result<Moment> moment = parse_moment(*text);
    RETURN_IF_ERROR(moment);
    wishes.moment = std::move(*moment);
  }
  return wishes;
}

std::string cursor_of(const Revisions& revisions) {
  std::string text;
  for (const auto& [group, revision] : revisions) {
    text += (text.empty() ? "" : ",") + std::to_string(group) + ":" + std::to_string(revision);
  }
  return text;
}

Status carry_out(Session& session, const Plan& plan, uint64_t& stored) {
  const Arguments& arguments = session.arguments();
  if (!arguments.has("--force")) {
    RETURN_IF_ERROR(check_fresh(session, arguments.value("--keyspace")));
  }
  const Result<std::map<uint64_t, std::string>> names = make_keyspaces(session, plan);
  RETURN_IF_ERROR(names);
  const std::optional<uint64_t> then =
      arguments.has("--shift-ends") ? std::optional(plan.to_ms()) : std::nullopt;
  Batch batch(session, *names, then);
  Status status = plan.replay([&batch](uint64_t keyspace, const json::object& entry) {
    return batch.add(keyspace, entry);
  });
  status = status.ok() ? batch.send() : status;
  stored = batch.stored();
  RETURN_IF_ERROR(status);
  return make_indexes(session, plan, *names);
}

std::string describe(const Plan& plan, uint64_t stored) {
  std::string text = "ok, " + std::to_string(stored) + " stored";
  text += plan.to_ms() == 0 ? "" : ", as of " + time_text(plan.to_ms());
  return text + ", revisions " + cursor_of(plan.through()) + "\n";
}

}  // namespace

Exit restore(Session& session) {
  const Result<Plan::Wishes> wishes = read_wishes(session.arguments());
  if (!wishes.ok()) {
    return session.usage_error(wishes.status().message());
  }
  const Result<Plan> plan = Plan::make(session.arguments().words[0], *wishes);
  if (!plan.ok()) {
    return session.fail_input(plan.status());
  }
  uint64_t stored = 0;
  const Status status = carry_out(session, *plan, stored);
  if (!status.ok()) {
    if (stored > 0) {
      session.io().error("stored " + std::to_string(stored) + " before this\n");
    }
    return session.fail(status);
  }
  if (!plan->damage().ok() && wishes->moment.is_newest()) {
    session.io().error("quorate: " + plan->damage().message() +
                       "; what came behind is not known\n");
  }
  const json::object said = {
      {"stored", stored}, {"as_of_ms", plan->to_ms()}, {"cursor", cursor_of(plan->through())}};
  session.print(session.json() ? json::serialize(said) + "\n" : describe(*plan, stored));
  return Exit::kDone;
}

}  // namespace quorate::cli
