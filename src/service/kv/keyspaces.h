// SPDX-License-Identifier: Apache-2.0
// Keyspaces: from names to numbers, and the life of a keyspace: created, changed, dropped.
//
// The catalogue (meta group) holds the names, the groups hold quota and keys. There is no commit
// over both, so a change goes in steps which each may be repeated by anybody:
//
//   create, change    catalogue: settling -> every group: set_keyspace, set_compression ->
//                     catalogue: ready
//   drop              catalogue: dropping -> every group: drop_keyspace -> catalogue: gone
//
// A keyspace that is found settling is finished before it is used, so that no write comes before
// its quota; one that is found dropping does not exist any more. All on one loop, as Api.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/caller.h"
#include "base/function.h"
#include "base/limits.h"
#include "base/time.h"
#include "service/kv/api.h"
#include "service/meta/api.h"

namespace quorate::service::kv {

// It is always there: its keys stand in the group of their slot, whatever their number.
inline constexpr std::string_view kDefaultKeyspace = Caller::kDefaultScopeName;

struct KeyspaceSettings {
  // Whoever changes settings first writes them down as settling, then tells the groups, then calls
  // them ready; whoever finds it settling or dropping may finish what another one began.
  enum class Stage : uint8_t { kSettling = 0, kReady = 1, kDropping = 2 };
  Stage stage = Stage::kSettling;
  uint64_t revision = 1;  // grows with each change
  uint64_t keys_max = 0;  // of the whole keyspace; 0: no quota
  uint64_t bytes_max = 0;
  // Values from this size on are kept compressed; 0: never.
  uint64_t compress_above = limits::kKvCompressAboveDefault;
  bool operator==(const KeyspaceSettings&) const = default;
};

struct Keyspace {
  std::string name;
  KeyspaceId id = {};
  uint64_t object = 0;                   // its number in the catalogue; 0: it does not stand there
  std::vector<GroupId> partitions = {};  // the group of each; empty: every group, by slot
  KeyspaceSettings settings = {};
  Stamp created_at = {};
};

[[nodiscard]] std::string encode(const KeyspaceSettings& settings);
[[nodiscard]] Result<KeyspaceSettings> decode_settings(std::string_view bytes);

class Keyspaces {
 public:
  template <class T>
  using Done = UniqueFunction<void(const Status&, const T&)>;

  // What a change leaves out stays as it is.
  struct Wishes {
    std::optional<uint64_t> keys_max = {};
    std::optional<uint64_t> bytes_max = {};
    std::optional<uint64_t> compress_above = {};
  };
  struct Creation {
    std::string name;
    uint32_t partitions = 1;
    Wishes wishes = {};
    CommandKey key = {};  // so that a repetition is not told that it exists
  };
  struct List {
    std::vector<Keyspace> keyspaces = {};
    bool more = false;
  };

  Keyspaces(Api& api, Proposer& proposer) : api_(api), proposer_(proposer), meta_(proposer) {}
  Keyspaces(const Keyspaces&) = delete;
  Keyspaces& operator=(const Keyspaces&) = delete;

  // For every request: from this node's copy of the catalogue if it stands there, else asked. The
  // Api knows the keyspace's groups afterwards.
  void resolve(const std::string& name, Done<KeyspaceId> done);
  // As the catalogue has it now.
  void find(const std::string& name, Done<Keyspace> done);
  // In order of name; the default one stands among them.
  void list(const std::string& after, uint32_t limit, Done<List> done);

  void create(const Creation& creation, Done<Keyspace> done);
  void change(const std::string& name, const Wishes& wishes, Done<Keyspace> done);
  void drop(const std::string& name, Done<Keyspace> done);

 private:
  using Shared = std::shared_ptr<Done<Keyspace>>;

  [[nodiscard]] std::optional<Keyspace> find_here(const std::string& name) const;
  void enter(const Keyspace& found, const Shared& done);
  void settle(const Keyspace& keyspace, const Shared& done);
  void finish_settling(const Keyspace& keyspace, const Shared& done);
  void finish_drop(const Keyspace& keyspace, const Shared& done);
  void write_down(const Keyspace& keyspace, const KeyspaceSettings& settings, Done<Keyspace> done);
  void tell_groups(const Keyspace& keyspace, const Command& command,
                   UniqueFunction<void(const Status&)> done);
  void create_object(const Creation& creation, const Shared& done);

  Api& api_;
  Proposer& proposer_;
  meta::Api meta_;
};

}  // namespace quorate::service::kv
