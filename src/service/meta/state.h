// SPDX-License-Identifier: Apache-2.0
// State: the machine of the meta group. Topology is the greater half; named objects, users and
// tokens stand in a table beside it, under "o" or "p", their kind (u8) and their name.
//
// Image: header length u32, hash of the header u64, header (format version, map, the last object
// number given), then the image of the table.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "service/machine.h"
#include "service/meta/answers.h"
#include "service/meta/commands.h"
#include "service/meta/topology.h"
#include "service/registry.h"
#include "service/table.h"

namespace quorate::service::meta {

class State {
 public:
  using Command = meta::Command;
  using Query = meta::Query;
  using Answer = meta::Answer;
  static Result<Command> decode_command(std::string_view bytes) {
    return meta::decode_command(bytes);
  }
  static Result<Query> decode_query(std::string_view bytes) { return meta::decode_query(bytes); }
  static void encode_answer(const Answer& answer, std::string& out) {
    meta::encode_answer(answer, out);
  }

  Answer apply(const Command& command, const Moment& moment);
  [[nodiscard]] Answer query(const Query& query, Stamp now) const;
  // Nothing here falls due: an expired token is refused by who reads it.
  [[nodiscard]] Stamp next_due() const { return Stamp::never(); }
  [[nodiscard]] std::string due_command(Stamp) const { return {}; }

  // The header is encoded at once (tens of microseconds per hundred groups), the table in pieces
  // while it changes. One source at a time; it must not outlive the machine nor restore_begin().
  [[nodiscard]] std::unique_ptr<SnapshotSource> freeze();
  void restore_begin();
  [[nodiscard]] Status restore_piece(std::string_view piece);
  [[nodiscard]] Status restore_end();

  [[nodiscard]] uint64_t digest() const;
  void check_invariants() const;
  [[nodiscard]] size_t memory_bytes() const;

  // For reads in place, by typed<State>().
  [[nodiscard]] const Map& map() const { return topology_.map(); }
  [[nodiscard]] std::optional<Object> object(ServiceId kind, std::string_view name) const;
  [[nodiscard]] std::optional<Principal> principal(PrincipalKind kind,
                                                   std::string_view name) const;

 private:
  template <class C>
  Answer on(const C& command, Stamp at) {
    return topology_.apply(command, at);
  }
  Answer on(const CreateObject& command, Stamp at);
  Answer on(const DeleteObject& command, Stamp at);
  Answer on(const ChangeObject& command, Stamp at);
  Answer on(const PutPrincipal& command, Stamp at);
  Answer on(const DeletePrincipal& command, Stamp at);
  [[nodiscard]] Answer on(const GetMap& query) const;
  [[nodiscard]] Answer on(const GetObject& query) const;
  [[nodiscard]] Answer on(const ListObjects& query) const;
  [[nodiscard]] Answer on(const GetPrincipal& query) const;
  [[nodiscard]] Answer on(const ListPrincipals& query) const;

  [[nodiscard]] std::string header() const;
  [[nodiscard]] Status take_header();
  void clear();

  struct Restore {
    std::string pending;       // until the header is whole
    bool header_taken = false;
  };

  Topology topology_;
  Table table_;
  size_t objects_ = 0;         // derived, as is the next
  size_t principals_ = 0;
  uint64_t object_id_last_ = 0;
  Restore restore_;
};

static_assert(Machine<State>);

}  // namespace quorate::service::meta
