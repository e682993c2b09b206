// SPDX-License-Identifier: Apache-2.0
#include "service/kv/keyspaces.h"

#include <algorithm>
#include <utility>

#include "base/codec.h"
#include "base/limits.h"
#include "service/meta/state.h"

namespace quorate::service::kv {
namespace {

constexpr uint8_t kSettingsVersion = 2;  // 1 said nothing of compression

Status no_such(const std::string& name) {
  return Status(Code::kNotFound, "there is no keyspace '" + name + "'");
}

bool is_default(std::string_view name) { return name == kDefaultKeyspace; }

Keyspace default_keyspace() {
  Keyspace keyspace;
  keyspace.name = kDefaultKeyspace;
  keyspace.settings.stage = KeyspaceSettings::Stage::kReady;
  keyspace.settings.revision = 0;
  return keyspace;
}

Result<Keyspace> keyspace_of(const meta::Object& object) {
  Result<KeyspaceSettings> settings = decode_settings(object.options);
  RETURN_IF_ERROR(settings);
  Keyspace keyspace;
  keyspace.name = object.name;
  keyspace.object = object.id;
  keyspace.settings = *settings;
  keyspace.created_at = object.created_at;
  if (!is_default(object.name)) {
    keyspace.id = KeyspaceId(static_cast<uint32_t>(object.id));
    keyspace.partitions = object.partitions;
  }
  return keyspace;
}

Status check_name(const std::string& name) {
  const auto is_good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  };
  return !name.empty() && name.size() <= limits::kNameBytesMax &&
                 std::all_of(name.begin(), name.end(), is_good)
             ? Status::success()
             : Status(Code::kInvalidArgument,
                      "the name of a keyspace has 1 to 255 letters, digits, '-', '_' and '.'");
}

uint64_t share_of(uint64_t quota, size_t groups) { return (quota + groups - 1) / groups; }

void apply_wishes(const Keyspaces::Wishes& wishes, KeyspaceSettings& settings) {
  settings.keys_max = wishes.keys_max.value_or(settings.keys_max);
  settings.bytes_max = wishes.bytes_max.value_or(settings.bytes_max);
  settings.compress_above = wishes.compress_above.value_or(settings.compress_above);
}

meta::ChangeObject change_of(const Keyspace& keyspace) {
  meta::ChangeObject change;
  change.kind = ServiceId::kKv;
  change.name = keyspace.name;
  change.id = keyspace.object;
  change.expected = encode(keyspace.settings);
  return change;
}

// The object of an answer, as a keyspace.
Result<Keyspace> keyspace_of(const meta::Answer& answer) {
  RETURN_IF_ERROR(answer);
  const auto* found = std::get_if<meta::ObjectFound>(&*answer);
  return found == nullptr ? Result<Keyspace>(Status(Code::kCorrupted, "another command's answer"))
                          : keyspace_of(found->object);
}

}  // namespace

std::string encode(const KeyspaceSettings& settings) {
  std::string bytes;
  Writer writer(bytes);
  writer.u8(kSettingsVersion);
  writer.u8(static_cast<uint8_t>(settings.stage));
  writer.varint(settings.revision);
  writer.varint(settings.keys_max);
  writer.varint(settings.bytes_max);
  writer.varint(settings.compress_above);
  return bytes;
}

Result<KeyspaceSettings> decode_settings(std::string_view bytes) {
  Reader reader(bytes);
  KeyspaceSettings settings;
  const uint8_t version = reader.u8();
  const uint8_t stage = reader.u8();
  settings.stage = static_cast<KeyspaceSettings::Stage>(stage);
  settings.revision = reader.varint();
  settings.keys_max = reader.varint();
  settings.bytes_max = reader.varint();
  if (version == kSettingsVersion) {
    settings.compress_above = reader.varint();
  }
  if (!reader.done() || version == 0 || version > kSettingsVersion ||
      stage > static_cast<uint8_t>(KeyspaceSettings::Stage::kDropping)) {
    return Status(Code::kCorrupted, "the settings of a keyspace do not decode");
  }
  return settings;
}

// ---- reading -----------------------------------------------------------------------------------

std::optional<Keyspace> Keyspaces::find_here(const std::string& name) const {
  const LocalRead here =
      proposer_.read_here(meta::kMetaGroup, ServiceId::kMeta, {Consistency::kEventual, {}});
  const auto* const state = typed<meta::State>(here.machine);
  const std::optional<meta::Object> object =
      state == nullptr ? std::nullopt : state->object(ServiceId::kKv, name);
  if (!object.has_value()) {
    return std::nullopt;
  }
  Result<Keyspace> keyspace = keyspace_of(*object);
  return keyspace.ok() ? std::optional<Keyspace>(std::move(*keyspace)) : std::nullopt;
}

void Keyspaces::resolve(const std::string& name, Done<KeyspaceId> done) {
  if (is_default(name)) {
    done({}, KeyspaceId());
    return;
  }
  const auto finish = std::make_shared<Done<Keyspace>>(
      [done = std::move(done)](const Status& status, const Keyspace& keyspace) mutable {
        done(status, keyspace.id);
      });
  const std::optional<Keyspace> here = find_here(name);
  if (here.has_value() && here->settings.stage == KeyspaceSettings::Stage::kReady) {
    enter(*here, finish);
    return;
  }
  find(name, [this, finish](const Status& status, const Keyspace& found) {
    if (status.ok()) {
      enter(found, finish);
    } else {
      (*finish)(status, {});
    }
  });
}

void Keyspaces::enter(const Keyspace& found, const Shared& done) {
  switch (found.settings.stage) {
    case KeyspaceSettings::Stage::kReady:
      api_.define(found.id, found.partitions);
      (*done)({}, found);
      return;
    case KeyspaceSettings::Stage::kSettling: settle(found, done); return;
    case KeyspaceSettings::Stage::kDropping: break;
  }
  (*done)(no_such(found.name), {});
}

void Keyspaces::find(const std::string& name, Done<Keyspace> done) {
  meta_.query(meta::GetObject{ServiceId::kKv, name}, {},
              [name, done = std::move(done)](const meta::Answer& answer, const Origin&) mutable {
                Result<Keyspace> found = keyspace_of(answer);
                if (found.ok()) {
                  done({}, *found);
                } else if (found.status().code() != Code::kNotFound) {
                  done(found.status(), {});
                } else if (is_default(name)) {
                  done({}, default_keyspace());
                } else {
                  done(no_such(name), {});
                }
              });
}

void Keyspaces::list(const std::string& after, uint32_t limit, Done<List> done) {
  meta_.query(
      meta::ListObjects{ServiceId::kKv, after, limit}, {},
      [after, done = std::move(done)](const meta::Answer& answer, const Origin&) mutable {
        const auto* found = answer.ok() ? std::get_if<meta::ObjectList>(&*answer) : nullptr;
        if (found == nullptr) {
          done(answer.ok() ? Status(Code::kCorrupted, "another query's answer") : answer.status(),
               {});
          return;
        }
        List list{.keyspaces = {}, .more = found->more};
        bool has_default = after >= kDefaultKeyspace;
        for (const meta::Object& object : found->objects) {
          if (!has_default && object.name >= kDefaultKeyspace) {
            has_default = true;
            if (!is_default(object.name)) {
              list.keyspaces.push_back(default_keyspace());
            }
          }
          if (Result<Keyspace> keyspace = keyspace_of(object); keyspace.ok()) {
            list.keyspaces.push_back(std::move(*keyspace));
          }
        }
        if (!has_default && !found->more) {
          list.keyspaces.push_back(default_keyspace());
        }
        done({}, list);
      });
}

// ---- create, change ----------------------------------------------------------------------------

void Keyspaces::create(const Creation& creation, Done<Keyspace> done) {
  const auto shared = std::make_shared<Done<Keyspace>>(std::move(done));
  Status problem = check_name(creation.name);
  if (problem.ok() && is_default(creation.name)) {
    problem = Status(Code::kAlreadyExists, "the default keyspace is always there");
  }
  if (problem.ok() && (creation.partitions == 0 || creation.partitions > proposer_.groups())) {
    problem = Status(Code::kInvalidArgument, "a keyspace has from 1 to " +
                                                 std::to_string(proposer_.groups()) +
                                                 " partitions here, one per group");
  }
  if (!problem.ok()) {
    (*shared)(problem, {});
    return;
  }
  const std::optional<Keyspace> here = find_here(creation.name);
  if (!here.has_value() || here->settings.stage != KeyspaceSettings::Stage::kDropping) {
    create_object(creation, shared);
    return;
  }
  // Somebody began to drop it and did not come to the end.
  drop(creation.name, [this, creation, shared](const Status& status, const Keyspace&) {
    if (status.ok() || status.code() == Code::kNotFound) {
      create_object(creation, shared);
    } else {
      (*shared)(status, {});
    }
  });
}

void Keyspaces::create_object(const Creation& creation, const Shared& done) {
  KeyspaceSettings settings;
  apply_wishes(creation.wishes, settings);
  meta_.apply(
      meta::CreateObject{ServiceId::kKv, creation.name, creation.partitions, encode(settings)},
      [this, done](const meta::Answer& answer, const Origin&) {
        Result<Keyspace> created = keyspace_of(answer);
        if (!created.ok()) {
          (*done)(created.status(), {});
        } else if (created->object > limits::kKeyspacesMax) {
          (*done)(Status(Code::kQuotaExceeded, "no numbers are left for keyspaces"), {});
        } else {
          settle(*created, done);
        }
      },
      Duration::seconds(10), creation.key);
}

void Keyspaces::change(const std::string& name, const Wishes& wishes, Done<Keyspace> done) {
  const auto shared = std::make_shared<Done<Keyspace>>(std::move(done));
  find(name, [this, wishes, shared](const Status& status, const Keyspace& found) {
    if (!status.ok() || found.settings.stage == KeyspaceSettings::Stage::kDropping) {
      (*shared)(status.ok() ? no_such(found.name) : status, {});
      return;
    }
    KeyspaceSettings settings = found.settings;
    settings.stage = KeyspaceSettings::Stage::kSettling;
    ++settings.revision;
    apply_wishes(wishes, settings);
    write_down(found, settings, [this, shared](const Status& written, const Keyspace& changed) {
      if (written.ok()) {
        settle(changed, shared);
      } else {
        (*shared)(written, {});
      }
    });
  });
}

void Keyspaces::write_down(const Keyspace& keyspace, const KeyspaceSettings& settings,
                           Done<Keyspace> done) {
  auto finish = [done = std::move(done)](const meta::Answer& answer, const Origin&) mutable {
    Result<Keyspace> written = keyspace_of(answer);
    if (written.ok()) {
      done({}, *written);
    } else {
      done(written.status(), {});
    }
  };
  if (keyspace.object == 0) {  // the default one stands in the catalogue once it has settings
    meta_.apply(meta::CreateObject{ServiceId::kKv, keyspace.name, 1, encode(settings)},
                std::move(finish));
    return;
  }
  meta::ChangeObject change = change_of(keyspace);
  change.options = encode(settings);
  meta_.apply(change, std::move(finish));
}

void Keyspaces::settle(const Keyspace& keyspace, const Shared& done) {
  api_.define(keyspace.id, keyspace.partitions);
  const size_t groups = api_.groups_of(keyspace.id, {}).size();
  const SetKeyspace command{.keyspace = keyspace.id,
                            .revision = keyspace.settings.revision,
                            .keys_max = share_of(keyspace.settings.keys_max, groups),
                            .bytes_max = share_of(keyspace.settings.bytes_max, groups)};
  const SetCompression compression{.keyspace = keyspace.id,
                                   .revision = keyspace.settings.revision,
                                   .above = keyspace.settings.compress_above};
  tell_groups(keyspace, command, [this, keyspace, compression, done](const Status& told) {
    if (!told.ok()) {
      (*done)(told, {});
      return;
    }
    tell_groups(keyspace, compression, [this, keyspace, done](const Status& status) {
      if (status.ok()) {
        finish_settling(keyspace, done);
      } else {
        (*done)(status, {});
      }
    });
  });
}

void Keyspaces::finish_settling(const Keyspace& keyspace, const Shared& done) {
  KeyspaceSettings settings = keyspace.settings;
  settings.stage = KeyspaceSettings::Stage::kReady;
  write_down(keyspace, settings,
             [this, name = keyspace.name, done](const Status& status, const Keyspace& ready) {
               if (status.code() != Code::kPreconditionFailed) {
                 (*done)(status, ready);
                 return;
               }
               // Somebody else was faster, with the same settings or with newer ones.
               find(name,
                    [done](const Status& found, const Keyspace& now) { (*done)(found, now); });
             });
}

// ---- drop --------------------------------------------------------------------------------------

void Keyspaces::drop(const std::string& name, Done<Keyspace> done) {
  const auto shared = std::make_shared<Done<Keyspace>>(std::move(done));
  if (is_default(name)) {
    (*shared)(Status(Code::kInvalidArgument, "the default keyspace stays; delete its keys"), {});
    return;
  }
  find(name, [this, shared](const Status& status, const Keyspace& found) {
    if (!status.ok() || found.settings.stage == KeyspaceSettings::Stage::kDropping) {
      status.ok() ? finish_drop(found, shared) : (*shared)(status, {});
      return;
    }
    KeyspaceSettings settings = found.settings;
    settings.stage = KeyspaceSettings::Stage::kDropping;
    write_down(found, settings, [this, shared](const Status& written, const Keyspace& dropping) {
      if (written.ok()) {
        finish_drop(dropping, shared);
      } else {
        (*shared)(written, {});
      }
    });
  });
}

void Keyspaces::finish_drop(const Keyspace& keyspace, const Shared& done) {
  api_.define(keyspace.id, keyspace.partitions);
  tell_groups(keyspace, DropKeyspace{keyspace.id}, [this, keyspace, done](const Status& told) {
    if (!told.ok()) {
      (*done)(told, {});
      return;
    }
    meta::ChangeObject change = change_of(keyspace);
    change.remove = true;
    meta_.apply(change, [keyspace, done](const meta::Answer& answer, const Origin&) {
      const bool is_gone = answer.ok() || answer.status().code() == Code::kNotFound;
      (*done)(is_gone ? Status() : answer.status(), keyspace);
    });
  });
}

// In every group that holds a part of it; the answer is the first failure, if any. Each of these
// commands may be repeated.
void Keyspaces::tell_groups(const Keyspace& keyspace, const Command& command,
                            UniqueFunction<void(const Status&)> done) {
  struct Join {
    size_t left = 0;
    Status failure;
    UniqueFunction<void(const Status&)> done;
  };
  const std::vector<GroupId> groups = api_.groups_of(keyspace.id, {});
  const auto join = std::make_shared<Join>();
  join->left = groups.size();
  join->done = std::move(done);
  for (const GroupId group : groups) {
    api_.settle(group, command, {}, [join](const Status& status, const Settled&, const Origin&) {
      if (!status.ok() && join->failure.ok()) {
        join->failure = status;
      }
      if (--join->left == 0) {
        join->done(join->failure);
      }
    });
  }
}

}  // namespace quorate::service::kv
