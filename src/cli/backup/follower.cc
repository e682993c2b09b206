// SPDX-License-Identifier: Apache-2.0
#include "cli/backup/follower.h"

#include <sys/file.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <filesystem>
#include <thread>

#include "base/assert.h"
#include "cli/backup/moment.h"
#include "cli/requests.h"

namespace quorate::cli {

namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

constexpr auto kIdlePause = std::chrono::milliseconds(100);
constexpr auto kSyncInterval = std::chrono::seconds(1);
constexpr auto kWeatherPause = std::chrono::milliseconds(500);
// Then the next file begins, so that what is old enough may go.
constexpr uint64_t kFileBytesMax = 64ull * 1024 * 1024;

bool passes(const Status& status) { return row_of(status.code()).retry != Retry::kNo; }

}  // namespace

void Follower::say(const std::string& event, const std::string& text) {
  session_.print(session_.json()
                     ? json::serialize(json::object{{"event", event}, {"text", text}}) + "\n"
                     : event + ": " + text + "\n");
}

// ---- the loop ----------------------------------------------------------------------------------

Status Follower::run(const bool volatile& stop) {
  RETURN_IF_ERROR(open());
  bool told = false;
  while (!stop) {
    bool idle = false;
    const Status status = turn(idle);
    if (!status.ok() && !passes(status)) {
      return status;
    }
    if (!status.ok() && !std::exchange(told, true)) {
      say("waiting", status.to_string());
    }
    if (!status.ok()) {
      std::this_thread::sleep_for(kWeatherPause);
      continue;
    }
    if (std::exchange(told, false)) {
      say("following", "the cluster answers again");
    }
    if (is_done(idle)) {
      break;
    }
    if (idle && copy_ == nullptr) {
      std::this_thread::sleep_for(kIdlePause);
    }
  }
  return write_times();
}

bool Follower::is_done(bool idle) const {
  return options_.once && idle && has_base_ && copy_ == nullptr;
}

Status Follower::turn(bool& idle) {
  if (!file_.has_value()) {
    RETURN_IF_ERROR(take_up());
  }
  const bool is_due = has_base_ && now_millis() >= newest_base_ms_ + options_.base_every_ms;
  if (copy_ == nullptr && (!has_base_ || is_due)) {
    RETURN_IF_ERROR(begin_base());
  }
  if (copy_ != nullptr) {
    RETURN_IF_ERROR(step_base());
  }
  const Result<bool> moved = poll_all();
  RETURN_IF_ERROR(moved);
  idle = !*moved;
  if (Clock::now() >= synced_at_ + kSyncInterval) {
    RETURN_IF_ERROR(write_times());
  }
  return file_->bytes() < kFileBytesMax ? Status::success() : begin_file();
}

// ---- files -------------------------------------------------------------------------------------

Status Follower::open() {
  std::error_code error;
  fs::create_directories(options_.directory, error);
  const std::string path = options_.directory + "/lock";
  lock_ = File(std::fopen(path.c_str(), "ab"));
  if (error || lock_ == nullptr) {
    return Status(Code::kInvalidArgument, "cannot write to " + options_.directory);
  }
  if (::flock(::fileno(lock_.get()), LOCK_EX | LOCK_NB) != 0) {
    return Status(Code::kAlreadyExists, "another archiver writes to " + options_.directory);
  }
  return Status::success();
}

Status Follower::check_cluster(const std::string& cluster) const {
  return cluster.empty() || cluster == shape_.cluster
             ? Status::success()
             : Status(Code::kPreconditionFailed,
                      options_.directory + " is the archive of cluster " + cluster +
                          ", and this is " + shape_.cluster + ": give another directory");
}

// Where the files end, once the cluster answers.
Status Follower::take_up() {
  Result<ClusterShape> shape = shape_of(session_);
  RETURN_IF_ERROR(shape);
  shape_ = std::move(*shape);
  Result<Archive> archive = Archive::open(options_.directory);
  RETURN_IF_ERROR(archive);
  archive_ = std::move(*archive);
  const Result<Archive::End> end = archive_.end();
  RETURN_IF_ERROR(end);
  RETURN_IF_ERROR(check_cluster(end->cluster));
  last_number_ = archive_.last_number();
  positions_ = end->revisions;
  times_ = end->times;
  for (size_t number = archive_.bases().size(); number > 0 && !has_base_; --number) {
    const Result<Contents> base = read_contents(archive_.bases()[number - 1].path);
    if (!base.ok()) {
      say("damaged", base.status().message());
      continue;
    }
    RETURN_IF_ERROR(check_cluster(base->cluster));
    has_base_ = true;
    newest_base_ms_ = base->end_ms;
    for (const auto& [group, revision] : base->complete) {
      if (positions_.try_emplace(group, revision).second) {
        times_[group] = base->times.at(group);
      }
    }
  }
  say("following", has_base_ ? options_.directory + " goes on" : options_.directory + " begins");
  return begin_file();
}

Status Follower::begin_file() {
  if (file_.has_value()) {
    RETURN_IF_ERROR(file_->sync());
  }
  const std::string path = archive_.change_path(++last_number_);
  Result<ChangeWriter> file = ChangeWriter::open(path);
  RETURN_IF_ERROR(file);
  const json::object header = {{"format", 1}, {"cluster", shape_.cluster}, {"groups", groups()}};
  RETURN_IF_ERROR(file->write(BlockKind::kHeader, json::serialize(header)));
  RETURN_IF_ERROR(file->sync());
  file_ = std::move(*file);
  RETURN_IF_ERROR(sync_directory(options_.directory));
  keyspaces_.clear();  // each file says by itself how they are called
  return note_keyspaces({});
}

json::array Follower::groups() const {
  json::array groups;
  for (const auto& [group, revision] : positions_) {
    const auto time = times_.find(group);
    const uint64_t to_ms = time == times_.end() ? 0 : time->second;
    groups.push_back({{"group", group}, {"revision", revision}, {"to_ms", to_ms}});
  }
  return groups;
}

// Changes that may be asked for again after a crash need no sync of their own.
Status Follower::write_times() {
  synced_at_ = Clock::now();
  if (!file_.has_value()) {
    return Status::success();
  }
  if (!positions_.empty()) {
    const json::object body = {{"groups", groups()}};
    RETURN_IF_ERROR(file_->write(BlockKind::kTimes, json::serialize(body)));
  }
  return file_->sync();
}

// ---- bases -------------------------------------------------------------------------------------

// What an archiver that was killed has left of one goes.
Status Follower::begin_base() {
  std::error_code error;
  for (fs::directory_iterator at(options_.directory, error), end; !error && at != end;
       at.increment(error)) {
    if (at->path().extension() == ".part") {
      fs::remove(at->path(), error);
    }
  }
  Result<BackupWriter> file = BackupWriter::open(archive_.base_path(++last_number_));
  RETURN_IF_ERROR(file);
  copy_ = std::make_unique<ClusterCopy>(session_, std::move(*file), shape_);
  return Status::success();
}

Status Follower::step_base() {
  const Result<bool> whole = copy_->step();
  if (whole.status().code() == Code::kPreconditionFailed) {
    copy_.reset();  // begun anew in the next turn
    return Status(Code::kUnavailable, "a group changes faster than it can be copied");
  }
  RETURN_IF_ERROR(whole);
  for (const auto& [group, copied] : copy_->complete()) {
    if (positions_.emplace(group, copied.revision).second) {
      times_[group] = copied.at_ms;
    }
  }
  if (!*whole) {
    return Status::success();
  }
  say("base", copy_->path() + " has " + std::to_string(copy_->entries()) + " entries");
  has_base_ = true;
  newest_base_ms_ = now_millis();
  copy_.reset();
  RETURN_IF_ERROR(begin_file());
  return options_.keep_ms == 0 ? Status::success() : prune();
}

// What is older than the newest base from which everything that shall be kept can be restored.
Status Follower::prune() {
  Result<Archive> archive = Archive::open(options_.directory);
  RETURN_IF_ERROR(archive);
  archive_ = std::move(*archive);
  const uint64_t now = now_millis();
  const uint64_t oldest = now > options_.keep_ms ? now - options_.keep_ms : 0;
  for (size_t number = archive_.bases().size(); number > 0; --number) {
    const Result<Contents> base = read_contents(archive_.bases()[number - 1].path);
    if (!base.ok() || base->end_ms > oldest) {
      continue;
    }
    const size_t first = archive_.first_after(base->complete);
    std::error_code error;
    for (size_t at = 0; at + 1 < number; ++at) {
      fs::remove(archive_.bases()[at].path, error);
    }
    for (size_t at = 0; at < first; ++at) {
      fs::remove(archive_.changes()[at].path, error);
    }
    return Status::success();
  }
  return Status::success();
}

// ---- changes -----------------------------------------------------------------------------------

Result<bool> Follower::poll_all() {
  bool moved = false;
  std::vector<uint64_t> groups;
  for (const auto& [group, revision] : positions_) {
    groups.push_back(group);
  }
  for (const uint64_t group : groups) {
    const Result<bool> more = poll(group);
    RETURN_IF_ERROR(more);
    moved = moved || *more;
  }
  return moved;
}

// True if there were changes.
Result<bool> Follower::poll(uint64_t group) {
  const json::object query = {{"group", group}, {"after", positions_.at(group)}};
  const Result<json::object> trail =
      ask(session_, {.method = "POST", .target = "/v1/kv:trail", .body = json::serialize(query)});
  if (trail.status().code() == Code::kPreconditionFailed) {
    say("behind", "group " + std::to_string(group) + " has forgotten what came after revision " +
                      std::to_string(positions_.at(group)) +
                      ": a new base is made, and what was between cannot be restored");
    RETURN_IF_ERROR(write_times());
    positions_.erase(group);
    times_.erase(group);
    if (copy_ == nullptr || copy_->complete().contains(group)) {
      copy_.reset();
      has_base_ = false;
    }
    return true;
  }
  if (trail.status().code() == Code::kInvalidArgument) {
    return Status(Code::kPreconditionFailed,
                  "group " + std::to_string(group) + " has not reached revision " +
                      std::to_string(positions_.at(group)) +
                      ": the cluster lost what this archive has, or is another one");
  }
  RETURN_IF_ERROR(trail);
  const bool moved = get_number(*trail, "through") > positions_.at(group);
  RETURN_IF_ERROR(take_changes(group, *trail));
  return moved;
}

Status Follower::take_changes(uint64_t group, const json::object& trail) {
  uint64_t& position = positions_.at(group);
  const uint64_t through = get_number(trail, "through");
  const json::array changes = list_at(trail, "changes");
  if (!std::all_of(changes.begin(), changes.end(), [](const auto& it) { return it.is_object(); })) {
    return Status(Code::kInternal, "the answer is no list of changes");
  }
  const bool is_all = through == get_number(trail, "revision");
  ASSERT(through >= position);
  uint64_t to_ms = get_number(trail, "at_ms");
  if (!is_all && !changes.empty()) {
    to_ms = get_number(changes.back().get_object(), "at_ms");
  }
  times_[group] = to_ms;
  if (through == position) {
    return Status::success();
  }
  RETURN_IF_ERROR(note_keyspaces(changes));
  const json::object body = {{"group", group},
                             {"after", position},
                             {"through", through},
                             {"to_ms", to_ms},
                             {"changes", changes}};
  position = through;
  return file_->write(BlockKind::kChanges, json::serialize(body));
}

// Their names and settings, before the first change that speaks of a new one or of new settings.
Status Follower::note_keyspaces(const json::array& changes) {
  const bool has_news =
      changes.empty() || std::any_of(changes.begin(), changes.end(), [this](const auto& each) {
        const json::object& change = each.get_object();
        return get_bytes(change, "type") == "settle" ||
               !keyspaces_.contains(get_number(change, "keyspace"));
      });
  if (!has_news) {
    return Status::success();
  }
  const Result<std::vector<json::object>> keyspaces = keyspaces_of(session_);
  RETURN_IF_ERROR(keyspaces);
  for (const json::object& keyspace : *keyspaces) {
    const uint64_t id = get_number(keyspace, "id");
    const uint64_t revision = get_number(keyspace, "revision");
    const auto known = keyspaces_.find(id);
    if (known == keyspaces_.end() || known->second != revision) {
      RETURN_IF_ERROR(file_->write(BlockKind::kKeyspace, json::serialize(keyspace)));
      keyspaces_[id] = revision;
    }
  }
  for (const json::value& each : changes) {
    keyspaces_.try_emplace(get_number(each.get_object(), "keyspace"),
                           0);  // gone before it was seen
  }
  return Status::success();
}

}  // namespace quorate::cli
