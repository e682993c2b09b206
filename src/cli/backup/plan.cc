// SPDX-License-Identifier: Apache-2.0
#include "cli/backup/plan.h"

#include <algorithm>
#include <filesystem>

#include "cli/backup/cluster_copy.h"
#include "cli/requests.h"

namespace quorate::cli {

namespace json = boost::json;

namespace {

// Whether the change was made by then.
bool is_by(const Moment& moment, uint64_t group, const json::object& change) {
  if (moment.at_ms.has_value()) {
    return get_number(change, "at_ms") <= *moment.at_ms;
  }
  const auto revision = moment.revisions.find(group);
  return revision == moment.revisions.end() || get_number(change, "revision") <= revision->second;
}

// Whether a base is no younger than the moment.
bool is_by(const Moment& moment, const Contents& base) {
  if (moment.at_ms.has_value()) {
    return base.end_ms <= *moment.at_ms;
  }
  return std::all_of(base.complete.begin(), base.complete.end(), [&moment](const auto& each) {
    const auto revision = moment.revisions.find(each.first);
    return revision == moment.revisions.end() || each.second <= revision->second;
  });
}

// Of the only group that a revision without a group may mean.
Result<Moment> placed(Moment moment, uint64_t groups) {
  const auto alone = moment.revisions.find(0);
  if (alone == moment.revisions.end()) {
    return moment;
  }
  if (groups != 1) {
    return Status(Code::kInvalidArgument,
                  "--at: each of " + std::to_string(groups) +
                      " groups has revisions of its own; say GROUP:REVISION, or a time");
  }
  moment.revisions = {{1, alone->second}};
  return moment;
}

std::string key_of(const json::object& entry) { return get_bytes(entry, "key"); }

}  // namespace

// ---- making it ---------------------------------------------------------------------------------

Result<Plan> Plan::make(const std::string& path, const Wishes& wishes) {
  Plan plan;
  Result<Moment> moment = wishes.moment;
  if (!std::filesystem::is_directory(path)) {
    if (!wishes.moment.is_newest()) {
      return Status(Code::kInvalidArgument, "--at is for archives: " + path + " is one backup");
    }
    Result<Contents> contents = read_contents(path);
    RETURN_IF_ERROR(contents);
    RETURN_IF_ERROR(plan.take_base(std::move(*contents)));
  } else {
    const Result<Archive> archive = Archive::open(path);
    RETURN_IF_ERROR(archive);
    RETURN_IF_ERROR(plan.choose_base(*archive, wishes.moment));
    moment = placed(wishes.moment, plan.base_.groups);
    RETURN_IF_ERROR(moment);
    RETURN_IF_ERROR(plan.read_trail(*archive, *moment));
  }
  if (wishes.keyspace.has_value()) {
    RETURN_IF_ERROR(plan.choose_keyspace(*wishes.keyspace, *moment));
    return plan;
  }
  for (const auto& [group, revision] : plan.base_.complete) {
    const bool is_named = moment->revisions.empty() || moment->revisions.contains(group);
    if (!is_named) {
      return Status(Code::kInvalidArgument,
                    "--at says nothing of group " + std::to_string(group) +
                        "; name every group, or a keyspace that lives in those named");
    }
  }
  return plan;
}

// The newest that is whole and not beyond the moment.
Status Plan::choose_base(const Archive& archive, const Moment& wanted) {
  Status damage;
  std::string begins;
  for (size_t number = archive.bases().size(); number > 0; --number) {
    Result<Contents> contents = read_contents(archive.bases()[number - 1].path);
    if (!contents.ok()) {
      damage = contents.status();
      continue;
    }
    const Result<Moment> moment = placed(wanted, contents->groups);
    RETURN_IF_ERROR(moment);
    if (is_by(*moment, *contents)) {
      return take_base(std::move(*contents));
    }
    begins = time_text(contents->end_ms);
  }
  RETURN_IF_ERROR(damage);
  return Status(Code::kPreconditionFailed,
                begins.empty() ? "there is no base in this archive"
                               : "the archive begins later: its oldest base is of " + begins);
}

Status Plan::take_base(Contents contents) {
  base_ = std::move(contents);
  to_ms_ = base_.end_ms;
  times_ = base_.times;
  through_ = base_.complete;
  seen_ = base_.complete;
  for (const json::object& keyspace : base_.keyspaces) {
    name_keyspace(keyspace, true);
  }
  for (const json::object& index : base_.indexes) {
    indexes_[{get_number(index, "keyspace"), get_bytes(index, "index")}] = index;
  }
  return Status::success();
}

void Plan::name_keyspace(const json::object& keyspace, bool exists) {
  Named& named = keyspaces_[get_number(keyspace, "id")];
  const uint64_t revision = get_number(keyspace, "revision");
  named.by_revision[revision] = keyspace;
  if (exists) {
    named.exists = true;
    named.revision = revision;
  }
}

Status Plan::read_trail(const Archive& archive, const Moment& moment) {
  Status damage;
  for (size_t at = archive.first_after(base_.complete); at < archive.changes().size(); ++at) {
    const std::string& path = archive.changes()[at].path;
    changes_.push_back(path);
    const Status read = read_changes(path, [&](BlockKind kind, const json::object& body) {
      if (kind == BlockKind::kKeyspace) {
        name_keyspace(body, false);
      } else if (kind == BlockKind::kChanges) {
        take_stretch(stretch_of(body), body, moment);
      } else if (kind == BlockKind::kHeader || kind == BlockKind::kTimes) {
        for (const Stretch& stretch : stretches_of(body)) {
          take_stretch(stretch, {}, moment);
        }
      }
      return Status::success();
    });
    damage = damage.ok() ? read : damage;
    damage_ = read;
  }
  return check_reached(moment, damage);
}

// Only what begins no later than where the group is: the rest lies behind a gap.
void Plan::take_stretch(const Stretch& stretch, const json::object& body, const Moment& moment) {
  const auto seen = seen_.find(stretch.group);
  if (seen == seen_.end() || stretch.through < seen->second) {
    return;
  }
  if (stretch.after > seen->second) {
    gaps_.try_emplace(stretch.group, "the changes of group " + std::to_string(stretch.group) +
                                         " from revision " + std::to_string(seen->second) + " to " +
                                         std::to_string(stretch.after) + " are missing");
    return;
  }
  uint64_t& time = times_[stretch.group];
  time = std::max(time, stretch.to_ms);
  for (const json::value& each : list_at(body, "changes")) {
    const json::object& change = each.get_object();
    const uint64_t revision = get_number(change, "revision");
    if (revision <= through_.at(stretch.group) || passed_[stretch.group]) {
      continue;
    }
    if (!is_by(moment, stretch.group, change)) {
      passed_[stretch.group] = true;
      continue;
    }
    through_[stretch.group] = revision;
    to_ms_ = std::max(to_ms_, get_number(change, "at_ms"));
    take_change(stretch.group, change);
  }
  seen->second = stretch.through;
}

void Plan::take_change(uint64_t group, const json::object& change) {
  const std::string type = get_bytes(change, "type");
  const uint64_t keyspace = get_number(change, "keyspace");
  base_.places[keyspace].insert(group);
  if (type == "touch") {
    touched_[{keyspace, key_of(change)}] = {get_number(change, "revision"),
                                            get_number(change, "expires_at_ms")};
  } else if (type == "put" || type == "delete" || type == "expire") {
    touched_.erase({keyspace, key_of(change)});
  } else if (type == "settle") {
    Named& named = keyspaces_[keyspace];
    named.exists = true;
    named.revision = std::max(named.revision, get_number(change, "settings"));
  } else if (type == "drop") {
    keyspaces_[keyspace].exists = false;
    std::erase_if(indexes_, [keyspace](const auto& it) { return it.first.first == keyspace; });
  } else if (type == "index") {
    indexes_[{keyspace, get_bytes(change, "index")}] = change;
  } else if (type == "unindex") {
    indexes_.erase({keyspace, get_bytes(change, "index")});
  }
}

uint64_t Plan::time_of(uint64_t group) const {
  const auto time = times_.find(group);
  return time == times_.end() ? 0 : time->second;
}

uint64_t Plan::known_ms() const {
  uint64_t known = UINT64_MAX;
  for (const auto& [group, revision] : base_.complete) {
    known = std::min(known, time_of(group));
  }
  return base_.complete.empty() ? base_.end_ms : known;
}

// A group that has a change beyond the moment has all before it; else somebody must have looked.
bool Plan::has_reached(const Moment& moment, uint64_t group) const {
  const auto passed = passed_.find(group);
  if (passed != passed_.end() && passed->second) {
    return true;
  }
  if (moment.at_ms.has_value()) {
    return time_of(group) >= *moment.at_ms;
  }
  const auto named = moment.revisions.find(group);
  return named == moment.revisions.end() ? !moment.is_newest() || !gaps_.contains(group)
                                         : seen_.at(group) >= named->second;
}

Status Plan::check_reached(const Moment& moment, const Status& damage) const {
  for (const auto& [group, revision] : base_.complete) {
    if (has_reached(moment, group)) {
      continue;
    }
    const auto gap = gaps_.find(group);
    std::string text = "the archive knows group " + std::to_string(group) + " up to " +
                       time_text(time_of(group)) + ", revision " + std::to_string(seen_.at(group));
    text += gap == gaps_.end() ? "" : "; " + gap->second;
    text += damage.ok() ? "" : "; " + damage.message();
    const bool is_whole = gap == gaps_.end() && damage.ok();
    return Status(is_whole ? Code::kPreconditionFailed : Code::kCorrupted, text);
  }
  return Status::success();
}

Status Plan::choose_keyspace(const std::string& name, const Moment& moment) {
  for (const auto& [id, named] : keyspaces_) {
    if (named.exists && !named.by_revision.empty() &&
        get_bytes(named.by_revision.begin()->second, "name") == name) {
      only_ = id;
      for (const uint64_t group : base_.places[id]) {
        if (!moment.revisions.empty() && !moment.revisions.contains(group)) {
          return Status(Code::kInvalidArgument, "--at says nothing of group " +
                                                    std::to_string(group) + ", where keys of '" +
                                                    name + "' are");
        }
      }
      return Status::success();
    }
  }
  return Status(Code::kNotFound, "there was no keyspace '" + name + "' then");
}

// ---- what is in it -----------------------------------------------------------------------------

bool Plan::is_wanted(uint64_t keyspace) const {
  const auto named = keyspaces_.find(keyspace);
  return named != keyspaces_.end() && named->second.exists &&
         (!only_.has_value() || *only_ == keyspace);
}

// With the settings that it had; if they were changed before the archiver saw them, with those
// that come next to them.
std::vector<json::object> Plan::keyspaces() const {
  std::vector<json::object> found;
  for (const auto& [id, named] : keyspaces_) {
    if (!is_wanted(id) || named.by_revision.empty()) {
      continue;
    }
    auto at = named.by_revision.upper_bound(named.revision);
    at = at == named.by_revision.begin() ? at : std::prev(at);
    found.push_back(at->second);
  }
  return found;
}

std::vector<Plan::IndexWish> Plan::indexes() const {
  std::vector<IndexWish> wishes;
  for (const auto& [place, index] : indexes_) {
    if (!is_wanted(place.first)) {
      continue;
    }
    IndexWish& wish = wishes.emplace_back(IndexWish{place.first, {}});
    for (const char* const name : {"index", "field", "unique"}) {
      if (const json::value* const value = index.if_contains(name)) {
        wish.body[name] = *value;
      }
    }
  }
  return wishes;
}

// ---- replay ------------------------------------------------------------------------------------

Status Plan::replay(const SeeEntry& see) const {
  RETURN_IF_ERROR(replay_base(see));
  Revisions done = base_.complete;
  for (const std::string& path : changes_) {
    RETURN_IF_ERROR(replay_changes(path, done, see));
  }
  return Status::success();
}

json::object Plan::with_end(uint64_t keyspace, json::object entry, uint64_t revision) const {
  const auto touched = touched_.find({keyspace, key_of(entry)});
  if (touched != touched_.end() && touched->second.revision > revision) {
    entry["expires_at_ms"] = touched->second.expires_at_ms;
  }
  return entry;
}

Status Plan::replay_base(const SeeEntry& see) const {
  Result<BackupReader> file = BackupReader::open(base_.path);
  RETURN_IF_ERROR(file);
  for (size_t number = 0;; ++number) {
    const Result<std::optional<Block>> block = file->next();
    RETURN_IF_ERROR(block);
    if (!block->has_value()) {
      return Status::success();
    }
    if ((*block)->kind != BlockKind::kPage) {
      continue;
    }
    const json::value body = parse_json((*block)->body);
    const auto begin = base_.begins.find(get_number(body.get_object(), "group"));
    if (begin == base_.begins.end() || number < begin->second) {
      continue;
    }
    for (const json::value& each : list_at(body.get_object(), "entries")) {
      const uint64_t keyspace = get_number(each.get_object(), "keyspace");
      if (is_wanted(keyspace)) {
        RETURN_IF_ERROR(see(keyspace, with_end(keyspace, each.get_object(), 0)));
      }
    }
  }
}

// What is damaged was found before; it lies behind what is needed.
Status Plan::replay_changes(const std::string& path, Revisions& done, const SeeEntry& see) const {
  const Status read = read_changes(path, [&](BlockKind kind, const json::object& body) {
    const Stretch stretch = stretch_of(body);
    const auto at = done.find(stretch.group);
    if (kind != BlockKind::kChanges || at == done.end() || stretch.after > at->second) {
      return Status::success();
    }
    for (const json::value& each : list_at(body, "changes")) {
      json::object change = each.get_object();
      const uint64_t revision = get_number(change, "revision");
      const uint64_t keyspace = get_number(change, "keyspace");
      const std::string type = get_bytes(change, "type");
      if (revision <= at->second || revision > through_.at(stretch.group)) {
        continue;
      }
      at->second = revision;
      if (!is_wanted(keyspace) || (type != "put" && type != "delete" && type != "expire")) {
        continue;
      }
      if (type != "put") {
        change["gone"] = true;
      }
      RETURN_IF_ERROR(see(keyspace, with_end(keyspace, std::move(change), revision)));
    }
    return Status::success();
  });
  return read.code() == Code::kCorrupted ? Status::success() : read;
}

}  // namespace quorate::cli
