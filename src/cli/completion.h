// SPDX-License-Identifier: Apache-2.0
// Completion: scripts for shells, made from the same tables as parser and help.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/session.h"

namespace quorate::cli {

// A word after "quorate": with commands of its own, or without.
struct CompletionWord {
  std::string_view name;
  std::string_view summary;
  std::span<const Command> commands = {};
};

enum class Shell : uint8_t { kBash, kZsh };

[[nodiscard]] std::string completion_script(Shell shell, std::span<const CompletionWord> words);

// quorate completion bash|zsh
[[nodiscard]] Exit completion_main(std::span<const CompletionWord> words,
                                   const std::vector<std::string>& arguments, Io& io);

}  // namespace quorate::cli
