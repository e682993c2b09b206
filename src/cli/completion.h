// SPDX-License-Identifier: Apache-2.0
// Completion: scripts for shells, made from the same tables as parser and help.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/session.h"

namespace quorate::cli {

struct CompletionItem {
  std::string name;
  std::string summary = {};
};

// A word after "quorate": with commands of the tables, or with words and flags that it reads by
// itself. Its flags are offered behind whichever of its words.
struct CompletionWord {
  std::string_view name;
  std::string_view summary;
  std::span<const Command> commands = {};
  std::vector<CompletionItem> words = {};
  std::vector<CompletionItem> flags = {};
};

// As items, with those that every command of the tables takes.
[[nodiscard]] std::vector<CompletionItem> completion_flags(std::span<const Flag> own);

enum class Shell : uint8_t { kBash, kZsh };

[[nodiscard]] std::string completion_script(Shell shell, std::span<const CompletionWord> words);

// quorate completion bash|zsh
[[nodiscard]] Exit completion_main(std::span<const CompletionWord> words,
                                   const std::vector<std::string>& arguments, Io& io);

}  // namespace quorate::cli
