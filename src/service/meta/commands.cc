// SPDX-License-Identifier: Apache-2.0
#include "service/meta/commands.h"

namespace quorate::service::meta {

std::string encode_command(const Command& command) {
  std::string out;
  encode(command, out);
  return out;
}

Result<Command> decode_command(std::string_view bytes) {
  Command command;
  if (!decode(bytes, command)) {
    return Status(Code::kInvalidArgument, "not a command of the meta group");
  }
  return command;
}

}  // namespace quorate::service::meta
