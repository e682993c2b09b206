// SPDX-License-Identifier: Apache-2.0
// StoreJudge: what the store's clients were told, held against what the groups did.
//
// The truth is each group's own history of changes, taken from whichever replica applies them
// first. From it the keys of a group at any revision are known. Judged when the run is over:
//
//   writes    a revision that was told is that very change; a pair of a transaction is not parted
//   reads     no older than what had been applied anywhere when they began, and right at their
//             revision; an index answers exactly the keys whose value carries the field
//   unique    no two keys hold one value, and nobody is refused who could have had it
//   quota     no more keys than the keyspace may have
//   buckets   as many tokens as there are, no more and no fewer
//   watches   each change once, in order, none left out, through whichever nodes
//
// A key whose end is near may be missing in what is read: the reader's clock is not known.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "service/kv/answers.h"
#include "service/kv/state.h"

namespace quorate::sim {

// What a client put into a value; the text of each value is written once only.
struct StoreValue {
  std::optional<uint64_t> number;  // field "n"
  std::optional<uint64_t> owner;   // field "u", unique
  uint64_t pair = 0;               // a transaction that wrote two keys, one after the other
  int part = 0;
};

class StoreJudge {
 public:
  using Change = service::kv::Change;
  struct Told {  // of a write
    uint64_t revision = 0;
    std::string key;
    std::string value;
  };
  struct Got {
    uint64_t floor = 0;     // applied somewhere when it was asked
    uint64_t modified = 0;  // zero: there is no such key
    std::string key;
    std::string value;
  };
  struct Hit {
    std::string key;
    std::string value;
    uint64_t modified = 0;
  };
  struct Search {
    uint64_t floor = 0;
    uint64_t revision = 0;
    bool by_owner = false;
    std::optional<uint64_t> wanted;  // none: every key that has the field
    std::vector<Hit> hits;
  };
  struct Refusal {  // the value of a unique index was another's
    uint64_t floor = 0;
    Instant answered;
    std::string key;
    uint64_t owner = 0;
  };
  struct Heard {
    Change::Kind kind = Change::Kind::kPut;
    uint64_t revision = 0;
    std::string key;
    std::string value;
  };
  // A watch, through all nodes that it went on at.
  struct Watched {
    std::string prefix;
    uint64_t begin = 0;
    uint64_t through = 0;
    std::vector<Heard> changes;
  };
  struct Group {
    std::vector<Told> told;
    std::vector<Got> got;
    std::vector<Search> searches;
    std::vector<Refusal> refusals;
    std::vector<Watched> watched;
  };

  explicit StoreJudge(uint64_t keys_max) : keys_max_(keys_max) {}

  void made(const std::string& text, const StoreValue& value) { made_[text] = value; }
  // Takes over what this replica has applied beyond all others.
  void learn(GroupId group, const service::kv::State& state, Instant now);
  // The last revision that is known to be applied.
  [[nodiscard]] uint64_t known(GroupId group) const;
  [[nodiscard]] Group& of(GroupId group) { return groups_[group]; }
  // "" or the first thing that is wrong.
  [[nodiscard]] std::string judge() const;
  // A replica was ahead of all others and gone before it was seen: that group is not judged.
  [[nodiscard]] bool has_gap() const;

 private:
  struct Event {
    Change::Kind kind = Change::Kind::kPut;
    bool is_ours = false;  // of the keyspace with the group's number
    std::string key;
    std::string value;
    Stamp at;
    Stamp expires;
    Instant seen;
  };
  struct Truth {
    std::vector<Event> events;  // the first has revision 1
    bool gap = false;
  };
  struct Live {
    std::string value;
    Stamp expires;
    uint64_t modified = 0;
  };
  using Keys = std::map<std::string, Live>;
  // Who held a value of the unique index, from and before which revision.
  struct Tenure {
    std::string key;
    uint64_t begin = 0;
    uint64_t end = UINT64_MAX;
  };
  struct Case {
    const Truth& truth;
    const Group& group;
    Keys keys;
    std::map<uint64_t, std::vector<Tenure>> tenures;
  };

  [[nodiscard]] std::string judge(const Truth& truth, const Group& group) const;
  [[nodiscard]] std::string happen(Case& it, uint64_t revision) const;
  [[nodiscard]] std::string judge_put(const Case& it, uint64_t revision) const;
  [[nodiscard]] std::string judge(const Case& it, const Search& search) const;
  [[nodiscard]] static std::string judge(const Case& it, const Told& told);
  [[nodiscard]] static std::string judge(const Case& it, const Got& got);
  [[nodiscard]] static std::string judge(const Case& it, const Refusal& refusal);
  [[nodiscard]] static std::string judge(const Case& it, const Watched& watched);
  [[nodiscard]] const StoreValue& value_of(const std::string& text) const;

  const uint64_t keys_max_;
  std::map<std::string, StoreValue> made_;
  std::map<GroupId, Truth> truths_;
  std::map<GroupId, Group> groups_;
};

}  // namespace quorate::sim
