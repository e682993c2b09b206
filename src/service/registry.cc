// SPDX-License-Identifier: Apache-2.0
#include "service/registry.h"

namespace quorate::service {

void encode_status(const Status& status, std::string& out) {
  Writer writer(out);
  writer.u8(static_cast<uint8_t>(status.code()));
  if (!status.ok()) {
    writer.bytes(status.message());
  }
}

Status decode_status(Reader& reader) {
  const std::optional<Code> code = code_from_number(reader.u8());
  if (!reader.ok() || !code.has_value()) {
    return Status(Code::kCorrupted, "not an encoded answer");
  }
  if (*code == Code::kOk) {
    return Status::success();
  }
  const std::string_view message = reader.bytes();
  if (!reader.ok()) {
    return Status(Code::kCorrupted, "an encoded answer is cut short");
  }
  return Status(*code, std::string(message));
}

void Registry::add(ServiceId id, Factory factory) {
  const auto number = static_cast<size_t>(id);
  ASSERT(number > 0 && number < kServicesMax, "kNode is the group's own");
  ASSERT(factory != nullptr && factories_[number] == nullptr, "added once");
  factories_[number] = std::move(factory);
}

bool Registry::has(ServiceId id) const {
  const auto number = static_cast<size_t>(id);
  return number < kServicesMax && factories_[number] != nullptr;
}

std::unique_ptr<Hosted> Registry::make(ServiceId id) const {
  ASSERT(has(id));
  std::unique_ptr<Hosted> machine = factories_[static_cast<size_t>(id)]();
  ASSERT(machine != nullptr);
  return machine;
}

}  // namespace quorate::service
