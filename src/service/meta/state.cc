// SPDX-License-Identifier: Apache-2.0
#include "service/meta/state.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "base/hash.h"
#include "base/limits.h"

namespace quorate::service::meta {
namespace {

constexpr char kObjects = 'o';
constexpr char kPrincipals = 'p';
// One page of a list: options may be long, and an answer has to fit a frame.
constexpr size_t kListMax = 100;

// What all names of a kind have in common.
template <class Kind>
std::string prefix_of(char part, Kind kind) {
  return {part, static_cast<char>(kind)};
}

template <class Kind>
std::string key_of(char part, Kind kind, std::string_view name) {
  return prefix_of(part, kind).append(name);
}

template <class T>
T read(std::string_view record) {
  T value;
  ASSERT(decode(record, value), "only what was encoded here is stored");
  return value;
}

template <class T>
std::optional<T> find(const Table& table, std::string_view key) {
  if (key.size() > limits::kNameBytesMax + 2) {
    return std::nullopt;  // no such name was ever accepted
  }
  const std::optional<std::string_view> record = table.find(key);
  return record ? std::optional<T>(read<T>(*record)) : std::nullopt;
}

template <class T>
void put(Table& table, std::string_view key, const T& value) {
  std::string record;
  encode(value, record);
  table.put(key, record);
}

Status check_name(std::string_view name) {
  if (name.empty()) {
    return Status(Code::kInvalidArgument, "a name is missing");
  }
  if (name.size() > limits::kNameBytesMax) {
    return Status(Code::kTooLarge, "the name is longer than " +
                                       std::to_string(limits::kNameBytesMax) + " bytes");
  }
  return Status::success();
}

Status check_object(const CreateObject& command) {
  RETURN_IF_ERROR(check_name(command.name));
  if (command.kind == ServiceId::kNode || command.kind == ServiceId::kMeta) {
    return Status(Code::kInvalidArgument, "this service has no named objects");
  }
  if (command.partitions == 0 || command.partitions > limits::kPartitionsMax) {
    return Status(Code::kInvalidArgument, "the number of partitions must be between 1 and " +
                                              std::to_string(limits::kPartitionsMax));
  }
  if (command.options.size() > limits::kObjectOptionsBytesMax) {
    return Status(Code::kTooLarge, "the options are too long");
  }
  return Status::success();
}

Status check_principal(const Principal& principal) {
  RETURN_IF_ERROR(check_name(principal.name));
  if (principal.hash.size() > limits::kNameBytesMax) {
    return Status(Code::kTooLarge, "the hash is too long");
  }
  if (principal.grants.size() > limits::kGrantsMax) {
    return Status(Code::kTooLarge, "too many grants");
  }
  for (const Grant& grant : principal.grants) {
    if (grant.rights == 0 || (grant.rights & ~kRightsAll) != 0) {
      return Status(Code::kInvalidArgument, "a grant without rights that are known");
    }
    if (grant.prefix.size() > limits::kNameBytesMax ||
        grant.scope.size() > limits::kNameBytesMax) {
      return Status(Code::kTooLarge, "the prefix or scope of a grant is too long");
    }
  }
  return Status::success();
}

// The partitions begin at the group that owns the name's slot and go on from there, so that the
// objects of a cluster spread over its groups, and the partitions of one over as many as it has.
std::vector<GroupId> spread_partitions(const Map& map, std::string_view name, uint32_t count) {
  const auto groups = static_cast<uint32_t>(map.groups.size() - 1);
  const uint32_t home = map.group_of_slot(slot_of(name)).value() - 1;
  std::vector<GroupId> partitions;
  for (uint32_t i = 0; i < count; ++i) {
    partitions.emplace_back((home + i) % groups + 1);
  }
  return partitions;
}

// Up to `limit` records under `prefix` whose names come after `after`; true if there are more.
template <class T>
bool list(const Table& table, const std::string& prefix, std::string_view after, uint32_t limit,
          std::vector<T>& out) {
  const auto count = std::clamp<size_t>(limit, 1, kListMax);
  // Nothing that is stored has a longer name; cutting it changes no comparison.
  const std::string start = prefix + std::string(after.substr(0, limits::kNameBytesMax + 1));
  for (auto at = table.at_or_after(start); at.valid() && at.key().starts_with(prefix); at.next()) {
    if (at.key() == start) {
      continue;
    }
    if (out.size() == count) {
      return true;
    }
    out.push_back(read<T>(at.record()));
  }
  return false;
}

}  // namespace

Answer State::apply(const Command& command, const Moment& moment) {
  if (!topology_.bootstrapped() && !std::holds_alternative<Bootstrap>(command)) {
    return Status(Code::kUnavailable, "the cluster has not been born yet");
  }
  return std::visit([&](const auto& typed) { return on(typed, moment.at); }, command);
}

Answer State::query(const Query& query, Stamp) const {
  return std::visit([this](const auto& typed) { return on(typed); }, query);
}

Answer State::on(const CreateObject& command, Stamp at) {
  RETURN_IF_ERROR(check_object(command));
  const std::string key = key_of(kObjects, command.kind, command.name);
  if (table_.find(key)) {
    return Status(Code::kAlreadyExists, command.name + " exists");
  }
  if (objects_ >= limits::kCatalogueMax) {
    return Status(Code::kQuotaExceeded, "the catalogue is full");
  }
  Object object;
  object.kind = command.kind;
  object.name = command.name;
  object.id = ++object_id_last_;
  object.partitions = spread_partitions(map(), command.name, command.partitions);
  object.options = command.options;
  object.created_at = at;
  put(table_, key, object);
  ++objects_;
  topology_.touch();
  return Success(ObjectFound{std::move(object)});
}

Answer State::on(const DeleteObject& command, Stamp) {
  RETURN_IF_ERROR(check_name(command.name));
  if (!table_.erase(key_of(kObjects, command.kind, command.name))) {
    return Status(Code::kNotFound, command.name + " does not exist");
  }
  --objects_;
  topology_.touch();
  return Success(Done{map().generation});
}

Answer State::on(const ChangeObject& command, Stamp at) {
  std::optional<Object> object = this->object(command.kind, command.name);
  if (!object || object->id != command.id) {
    return Status(Code::kNotFound, command.name + " does not exist");
  }
  if (object->options != command.expected) {
    return Status(Code::kPreconditionFailed, command.name + " was changed by somebody else");
  }
  if (command.remove) {
    return on(DeleteObject{command.kind, command.name}, at);
  }
  if (command.options.size() > limits::kObjectOptionsBytesMax) {
    return Status(Code::kTooLarge, "the options are too long");
  }
  object->options = command.options;
  put(table_, key_of(kObjects, command.kind, command.name), *object);
  topology_.touch();
  return Success(ObjectFound{*std::move(object)});
}

Answer State::on(const PutPrincipal& command, Stamp) {
  RETURN_IF_ERROR(check_principal(command.principal));
  const std::string key = key_of(kPrincipals, command.principal.kind, command.principal.name);
  if (!table_.find(key)) {
    if (principals_ >= limits::kPrincipalsMax) {
      return Status(Code::kQuotaExceeded, "no more users or tokens fit");
    }
    ++principals_;
  }
  put(table_, key, command.principal);
  topology_.touch();
  return Success(Done{map().generation});
}

Answer State::on(const DeletePrincipal& command, Stamp) {
  RETURN_IF_ERROR(check_name(command.name));
  if (!table_.erase(key_of(kPrincipals, command.kind, command.name))) {
    return Status(Code::kNotFound, command.name + " is not known");
  }
  --principals_;
  topology_.touch();
  return Success(Done{map().generation});
}

Answer State::on(const GetMap& query) const {
  if (query.known_generation != 0 && query.known_generation == map().generation) {
    return Success(MapUnchanged{map().generation});
  }
  return Success(MapFound{map()});
}

Answer State::on(const GetObject& query) const {
  std::optional<Object> found = object(query.kind, query.name);
  return found ? Answer(Success(ObjectFound{*std::move(found)}))
               : Answer(Status(Code::kNotFound, query.name + " does not exist"));
}

Answer State::on(const ListObjects& query) const {
  ObjectList found;
  found.more =
      list(table_, prefix_of(kObjects, query.kind), query.after, query.limit, found.objects);
  return Success(std::move(found));
}

Answer State::on(const GetPrincipal& query) const {
  std::optional<Principal> found = principal(query.kind, query.name);
  return found ? Answer(Success(PrincipalFound{*std::move(found)}))
               : Answer(Status(Code::kNotFound, query.name + " is not known"));
}

Answer State::on(const ListPrincipals& query) const {
  PrincipalList found;
  found.more =
      list(table_, prefix_of(kPrincipals, query.kind), query.after, query.limit, found.principals);
  return Success(std::move(found));
}

std::optional<Object> State::object(ServiceId kind, std::string_view name) const {
  return find<Object>(table_, key_of(kObjects, kind, name));
}

std::optional<Principal> State::principal(PrincipalKind kind, std::string_view name) const {
  return find<Principal>(table_, key_of(kPrincipals, kind, name));
}

void State::check_invariants() const {
  topology_.check_invariants();
  table_.check_invariants();
  size_t objects = 0;
  for (auto at = table_.first(); at.valid(); at.next()) {
    if (at.key().front() == kObjects) {
      const auto object = read<Object>(at.record());
      ASSERT(at.key() == key_of(kObjects, object.kind, object.name));
      ASSERT(!object.partitions.empty() && object.id <= object_id_last_);
      ++objects;
    } else {
      const auto principal = read<Principal>(at.record());
      ASSERT(at.key() == key_of(kPrincipals, principal.kind, principal.name));
    }
  }
  ASSERT(objects == objects_ && table_.size() == objects_ + principals_);
}

size_t State::memory_bytes() const {
  size_t bytes = sizeof(State);
  bytes += map().nodes.size() * sizeof(Node);
  for (const Group& group : map().groups) {
    bytes += sizeof(Group) + (group.wanted.size() + group.birth.size()) * sizeof(Replica) +
             (group.learners.size() + group.reported.members.voters.size() +
              group.reported.members.learners.size()) *
                 sizeof(NodeId);
  }
  bytes += table_.memory_bytes();
  return bytes;
}

// ---- digest, image ------------------------------------------------------------------------------

namespace {

class Source final : public SnapshotSource {
 public:
  Source(std::string header, std::unique_ptr<SnapshotSource> table)
      : header_(std::move(header)), table_(std::move(table)) {}

  bool next(size_t bytes_target, std::string& out) override {
    if (!header_.empty()) {
      Writer writer(out);
      writer.u32(static_cast<uint32_t>(header_.size()));
      writer.u64(hash64(header_));
      writer.raw(std::exchange(header_, {}));
      return true;
    }
    return table_->next(bytes_target, out);
  }

 private:
  std::string header_;
  std::unique_ptr<SnapshotSource> table_;
};

// The most nodes and groups that there may be stay far below this.
constexpr size_t kHeaderBytesMax = 64 * 1024 * 1024;

}  // namespace

std::string State::header() const {
  std::string bytes;
  Put out(bytes);
  out(kFormatVersion, map(), object_id_last_);
  return bytes;
}

uint64_t State::digest() const { return hash64(header(), table_.digest()); }

std::unique_ptr<SnapshotSource> State::freeze() {
  return std::make_unique<Source>(header(), table_.freeze());
}

void State::clear() {
  topology_ = Topology();
  table_.restore_begin();
  objects_ = 0;
  principals_ = 0;
  object_id_last_ = 0;
  restore_ = Restore();
}

void State::restore_begin() { clear(); }

Status State::restore_piece(std::string_view piece) {
  if (restore_.header_taken) {
    return table_.restore_piece(piece);
  }
  restore_.pending += piece;
  Status taken = take_header();
  if (!taken.ok()) {
    clear();
  }
  return taken;
}

Status State::take_header() {
  Reader reader(restore_.pending);
  const uint32_t size = reader.u32();
  const uint64_t hash = reader.u64();
  if (!reader.ok()) {
    return Status::success();  // not there yet
  }
  if (size > kHeaderBytesMax) {
    return Status(Code::kCorrupted, "the header of the meta image is too long");
  }
  if (reader.left() < size) {
    return Status::success();
  }
  const std::string_view bytes = reader.raw(size);
  Take take(bytes);
  uint8_t version = 0;
  Map map;
  take(version, map, object_id_last_);
  if (hash != hash64(bytes) || !take.done() || version != kFormatVersion) {
    return Status(Code::kCorrupted, "the header of the meta image is damaged");
  }
  topology_.restore(std::move(map));
  restore_.header_taken = true;
  const std::string rest(reader.rest());
  restore_.pending.clear();
  return table_.restore_piece(rest);
}

Status State::restore_end() {
  if (!restore_.header_taken) {
    clear();
    return Status(Code::kCorrupted, "the meta image is cut short");
  }
  Status ended = table_.restore_end();
  if (!ended.ok()) {
    clear();
    return ended;
  }
  restore_ = Restore();
  for (auto at = table_.first(); at.valid(); at.next()) {
    ++(at.key().front() == kObjects ? objects_ : principals_);
  }
  return Status::success();
}

}  // namespace quorate::service::meta
