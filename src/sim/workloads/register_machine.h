// SPDX-License-Identifier: Apache-2.0
// RegisterMachine: the smallest service that can show every fault of the core: numbered registers
// with read, write, delete, compare-and-swap and add. Each value drags some padding along, so that
// logs and snapshots have a size. Its state is one Table, as that of every service.
//
//   command  = kind u8, key u32, argument u64, expected u64, padding (the rest)
//   answer   = status, ok u8, value u64          (value: before a delete or swap, after an add)
//   record   = value u64, padding
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "service/machine.h"
#include "service/table.h"
#include "sim/check/linearizable.h"

namespace quorate::sim {

struct RegisterCommand {
  OpKind kind = OpKind::kRead;
  uint32_t key = 0;
  int64_t argument = 0;
  int64_t expected = 0;
  std::string_view padding;
};

struct RegisterAnswer {
  RegisterAnswer() = default;
  explicit RegisterAnswer(Status failed) : status(std::move(failed)) {}
  Status status;
  bool ok = false;
  int64_t value = kAbsent;
};

[[nodiscard]] std::string encode(const RegisterCommand& command);
[[nodiscard]] Result<RegisterAnswer> decode_register_answer(std::string_view bytes);

class RegisterMachine {
 public:
  using Command = RegisterCommand;
  using Query = RegisterCommand;
  using Answer = RegisterAnswer;

  [[nodiscard]] static Result<Command> decode_command(std::string_view bytes);
  [[nodiscard]] static Result<Query> decode_query(std::string_view bytes) {
    return decode_command(bytes);
  }
  static void encode_answer(const Answer& answer, std::string& out);

  [[nodiscard]] Answer apply(const Command& command, const service::Moment& moment);
  [[nodiscard]] Answer query(const Query& query, Stamp now) const;
  [[nodiscard]] Stamp next_due() const { return Stamp::never(); }
  [[nodiscard]] std::string due_command(Stamp) const { return {}; }
  [[nodiscard]] std::unique_ptr<service::SnapshotSource> freeze() { return table_.freeze(); }
  void restore_begin() { table_.restore_begin(); }
  [[nodiscard]] Status restore_piece(std::string_view piece) { return table_.restore_piece(piece); }
  [[nodiscard]] Status restore_end() { return table_.restore_end(); }
  [[nodiscard]] uint64_t digest() const { return table_.digest(); }
  void check_invariants() const { table_.check_invariants(); }
  [[nodiscard]] size_t memory_bytes() const { return table_.memory_bytes(); }

 private:
  [[nodiscard]] int64_t load(uint32_t key) const;
  void store(uint32_t key, int64_t value, std::string_view padding);

  service::Table table_;
};

}  // namespace quorate::sim
