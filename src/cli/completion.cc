// SPDX-License-Identifier: Apache-2.0
#include "cli/completion.h"

namespace quorate::cli {
namespace {

constexpr std::string_view kUsage =
    "Usage: quorate completion bash|zsh\n\n"
    "Prints a script that completes commands and flags. Examples:\n"
    "  source <(quorate completion bash)            # in this shell\n"
    "  quorate completion bash > /etc/bash_completion.d/quorate\n"
    "  quorate completion zsh > \"${fpath[1]}/_quorate\"\n";

// In single quotes nothing but a single quote means anything to a shell.
std::string quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  }
  return out + "'";
}

// ---- bash --------------------------------------------------------------------------------------

std::string bash_flags(const Command& command) {
  std::string flags;
  for (const std::span<const Flag> list : {command.flags, common_flags()}) {
    for (const Flag& flag : list) {
      flags.append(flags.empty() ? "" : " ").append(flag.name);
    }
  }
  return flags;
}

std::string bash_script(std::span<const CompletionWord> words) {
  std::string top;
  std::string second;
  std::string flags;
  for (const CompletionWord& word : words) {
    top.append(top.empty() ? "" : " ").append(word.name);
    std::string names;
    for (const Command& command : word.commands) {
      names.append(names.empty() ? "" : " ").append(command.name);
      flags.append("      ").append(
          quoted(std::string(word.name) + " " + std::string(command.name)));
      flags.append(") words=").append(quoted(bash_flags(command))).append(" ;;\n");
    }
    if (!names.empty()) {
      second.append("      ").append(word.name).append(") words='").append(names);
      second.append(" help' ;;\n");
    }
  }
  return "# bash completion of quorate\n"
         "_quorate() {\n"
         "  local current=\"${COMP_WORDS[COMP_CWORD]}\" words=''\n"
         "  COMPREPLY=()\n"
         "  if ((COMP_CWORD == 1)); then\n"
         "    words=" +
         quoted(top + " help") +
         "\n"
         "  elif ((COMP_CWORD == 2)); then\n"
         "    case \"${COMP_WORDS[1]}\" in\n" +
         second +
         "    esac\n"
         "  elif [[ $current == -* ]]; then\n"
         "    case \"${COMP_WORDS[1]} ${COMP_WORDS[2]}\" in\n" +
         flags +
         "    esac\n"
         "  fi\n"
         "  [[ -n $words ]] && COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
         "}\n"
         "complete -o default -F _quorate quorate\n";
}

// ---- zsh ---------------------------------------------------------------------------------------

// What _describe takes: 'name:summary', with colons of the name escaped.
std::string zsh_item(std::string_view name, std::string_view summary) {
  return quoted(std::string(name) + ":" + std::string(summary));
}

std::string zsh_flags(const Command& command) {
  std::string items;
  for (const std::span<const Flag> list : {command.flags, common_flags()}) {
    for (const Flag& flag : list) {
      items.append(items.empty() ? "" : " ").append(zsh_item(flag.name, flag.help));
    }
  }
  return items;
}

std::string zsh_script(std::span<const CompletionWord> words) {
  std::string top;
  std::string second;
  std::string flags;
  for (const CompletionWord& word : words) {
    top.append(top.empty() ? "" : " ").append(zsh_item(word.name, word.summary));
    std::string items;
    for (const Command& command : word.commands) {
      items.append(items.empty() ? "" : " ").append(zsh_item(command.name, command.summary));
      flags.append("      ").append(
          quoted(std::string(word.name) + " " + std::string(command.name)));
      flags.append(") items=(").append(zsh_flags(command)).append(") ;;\n");
    }
    if (!items.empty()) {
      second.append("      ").append(word.name).append(") items=(").append(items).append(") ;;\n");
    }
  }
  return "#compdef quorate\n"
         "_quorate() {\n"
         "  local -a items\n"
         "  if ((CURRENT == 2)); then\n"
         "    items=(" +
         top +
         ")\n"
         "  elif ((CURRENT == 3)); then\n"
         "    case \"$words[2]\" in\n" +
         second +
         "    esac\n"
         "  elif [[ $PREFIX == -* ]]; then\n"
         "    case \"$words[2] $words[3]\" in\n" +
         flags +
         "    esac\n"
         "  fi\n"
         "  if (($#items)); then _describe quorate items; else _files; fi\n"
         "}\n"
         "compdef _quorate quorate\n";
}

}  // namespace

std::string completion_script(Shell shell, std::span<const CompletionWord> words) {
  return shell == Shell::kBash ? bash_script(words) : zsh_script(words);
}

Exit completion_main(std::span<const CompletionWord> words,
                     const std::vector<std::string>& arguments, Io& io) {
  if (!arguments.empty() && (arguments[0] == "help" || arguments[0] == "--help")) {
    io.out(kUsage);
    return Exit::kDone;
  }
  if (arguments.size() != 1 || (arguments[0] != "bash" && arguments[0] != "zsh")) {
    io.error(kUsage);
    return Exit::kUsage;
  }
  io.out(completion_script(arguments[0] == "bash" ? Shell::kBash : Shell::kZsh, words));
  return Exit::kDone;
}

}  // namespace quorate::cli
