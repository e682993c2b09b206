// SPDX-License-Identifier: Apache-2.0
// Help: what the server says of itself and of its commands.
#pragma once

#include <string_view>

#include "edge/resp/session/command.h"

namespace quorate::edge::resp {

// The version of Redis whose commands and replies these are; clients decide by it what they may
// use.
inline constexpr std::string_view kRedisVersion = "7.0.15";

// HELP of any command that has subcommands: a line for each.
void run_help(Client& client, Arguments arguments, Reply& reply);

}  // namespace quorate::edge::resp
