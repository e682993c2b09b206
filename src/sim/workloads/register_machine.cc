// SPDX-License-Identifier: Apache-2.0
#include "sim/workloads/register_machine.h"

#include "base/codec.h"
#include "service/registry.h"

namespace quorate::sim {
namespace {

static_assert(service::Machine<RegisterMachine>);

std::string name_of(uint32_t key) {
  std::string name;
  Writer(name).u32(key);
  return name;
}

}  // namespace

std::string encode(const RegisterCommand& command) {
  std::string out;
  Writer writer(out);
  writer.u8(static_cast<uint8_t>(command.kind));
  writer.u32(command.key);
  writer.u64(static_cast<uint64_t>(command.argument));
  writer.u64(static_cast<uint64_t>(command.expected));
  writer.raw(command.padding);
  return out;
}

Result<RegisterCommand> RegisterMachine::decode_command(std::string_view bytes) {
  Reader reader(bytes);
  RegisterCommand command;
  const uint8_t kind = reader.u8();
  command.kind = static_cast<OpKind>(kind);
  command.key = reader.u32();
  command.argument = static_cast<int64_t>(reader.u64());
  command.expected = static_cast<int64_t>(reader.u64());
  command.padding = reader.rest();
  if (!reader.ok() || kind > static_cast<uint8_t>(OpKind::kAdd)) {
    return Status(Code::kInvalidArgument, "not a register command");
  }
  return command;
}

void RegisterMachine::encode_answer(const Answer& answer, std::string& out) {
  service::encode_status(answer.status, out);
  if (answer.status.ok()) {
    Writer writer(out);
    writer.boolean(answer.ok);
    writer.u64(static_cast<uint64_t>(answer.value));
  }
}

Result<RegisterAnswer> decode_register_answer(std::string_view bytes) {
  Reader reader(bytes);
  RETURN_IF_ERROR(service::decode_status(reader));
  RegisterAnswer answer;
  answer.ok = reader.boolean();
  answer.value = static_cast<int64_t>(reader.u64());
  if (!reader.done()) {
    return Status(Code::kCorrupted, "not a register answer");
  }
  return answer;
}

RegisterAnswer RegisterMachine::apply(const Command& command, const service::Moment&) {
  RegisterAnswer answer;
  answer.value = load(command.key);
  answer.ok = answer.value != kAbsent;
  switch (command.kind) {
    case OpKind::kRead: break;
    case OpKind::kWrite:
      answer.ok = true;
      store(command.key, command.argument, command.padding);
      break;
    case OpKind::kDelete: table_.erase(name_of(command.key)); break;
    case OpKind::kCas:
      answer.ok = answer.value == command.expected;
      if (answer.ok) {
        store(command.key, command.argument, command.padding);
      }
      break;
    case OpKind::kAdd:
      answer.ok = true;
      answer.value = (answer.value == kAbsent ? 0 : answer.value) + command.argument;
      store(command.key, answer.value, command.padding);
      break;
  }
  return answer;
}

RegisterAnswer RegisterMachine::query(const Query& query, Stamp) const {
  RegisterAnswer answer;
  answer.value = load(query.key);
  answer.ok = answer.value != kAbsent;
  return answer;
}

int64_t RegisterMachine::load(uint32_t key) const {
  const std::optional<std::string_view> record = table_.find(name_of(key));
  return record ? static_cast<int64_t>(Reader(*record).u64()) : kAbsent;
}

void RegisterMachine::store(uint32_t key, int64_t value, std::string_view padding) {
  std::string record;
  Writer(record).u64(static_cast<uint64_t>(value));
  record.append(padding);
  table_.put(name_of(key), record);
}

}  // namespace quorate::sim
