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

using Items = std::vector<CompletionItem>;

// What may stand behind a word: the same for both shells.
Items words_of(const CompletionWord& word) {
  Items items = word.words;
  for (const Command& command : word.commands) {
    items.push_back({std::string(command.name), std::string(command.summary)});
  }
  return items;
}

// Shows the items of a branch of a `case`.
using Show = std::string (*)(const Items& items);

std::string branch(const std::string& pattern, const std::string& shown) {
  return shown.empty() ? "" : "      " + pattern + ") " + shown + " ;;\n";
}

std::string word_branches(std::span<const CompletionWord> words, Show show) {
  std::string branches;
  for (const CompletionWord& word : words) {
    branches += branch(std::string(word.name), show(words_of(word)));
  }
  return branches;
}

std::string flag_branches(std::span<const CompletionWord> words, Show show) {
  std::string branches;
  for (const CompletionWord& word : words) {
    const std::string name(word.name);
    for (const Command& command : word.commands) {
      branches += branch(quoted(name + " " + std::string(command.name)),
                         show(completion_flags(command.flags)));
    }
    branches += branch(quoted(name + " ") + "*", show(word.flags));
  }
  return branches;
}

Items top_of(std::span<const CompletionWord> words) {
  Items items;
  for (const CompletionWord& word : words) {
    items.push_back({std::string(word.name), std::string(word.summary)});
  }
  items.push_back({"help", "what commands and flags there are"});
  return items;
}

// ---- bash --------------------------------------------------------------------------------------

std::string bash_words(const Items& items) {
  std::string names;
  for (const CompletionItem& item : items) {
    names.append(names.empty() ? "" : " ").append(item.name);
  }
  return names.empty() ? "" : "words=" + quoted(names);
}

std::string bash_script(std::span<const CompletionWord> words) {
  return "# bash completion of quorate\n"
         "_quorate() {\n"
         "  local current=\"${COMP_WORDS[COMP_CWORD]}\" words='' at=$COMP_CWORD\n"
         "  local -a line=(\"${COMP_WORDS[@]}\")\n"
         "  COMPREPLY=()\n"
         "  if ((at > 1)) && [[ ${line[1]} == help ]]; then  # 'help kv put' is 'kv put'\n"
         "    line=(\"${line[0]}\" \"${line[@]:2}\")\n"
         "    ((at -= 1))\n"
         "  fi\n"
         "  if ((at == 1)); then\n"
         "    " +
         bash_words(top_of(words)) +
         "\n"
         "  elif [[ $current == -* ]]; then\n"
         "    case \"${line[1]} ${line[2]}\" in\n" +
         flag_branches(words, bash_words) +
         "    esac\n"
         "  elif ((at == 2)); then\n"
         "    case \"${line[1]}\" in\n" +
         word_branches(words, bash_words) +
         "    esac\n"
         "  fi\n"
         "  [[ -n $words ]] && COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
         "}\n"
         "complete -o default -F _quorate quorate\n";
}

// ---- zsh ---------------------------------------------------------------------------------------

// What _describe takes: 'name:summary'.
std::string zsh_items(const Items& items) {
  std::string list;
  for (const CompletionItem& item : items) {
    list.append(list.empty() ? "" : " ");
    list.append(quoted(item.name + (item.summary.empty() ? "" : ":" + item.summary)));
  }
  return list.empty() ? "" : "items=(" + list + ")";
}

std::string zsh_script(std::span<const CompletionWord> words) {
  return "#compdef quorate\n"
         "_quorate() {\n"
         "  local -a items line\n"
         "  local at=$CURRENT\n"
         "  line=(\"${words[@]}\")\n"
         "  if ((at > 2)) && [[ $line[2] == help ]]; then  # 'help kv put' is 'kv put'\n"
         "    line=(\"$line[1]\" \"${(@)line[3,-1]}\")\n"
         "    ((at -= 1))\n"
         "  fi\n"
         "  if ((at == 2)); then\n"
         "    " +
         zsh_items(top_of(words)) +
         "\n"
         "  elif [[ $PREFIX == -* ]]; then\n"
         "    case \"$line[2] $line[3]\" in\n" +
         flag_branches(words, zsh_items) +
         "    esac\n"
         "  elif ((at == 3)); then\n"
         "    case \"$line[2]\" in\n" +
         word_branches(words, zsh_items) +
         "    esac\n"
         "  fi\n"
         "  if (($#items)); then _describe quorate items; else _files; fi\n"
         "}\n"
         "compdef _quorate quorate\n";
}

}  // namespace

std::vector<CompletionItem> completion_flags(std::span<const Flag> own) {
  Items items;
  for (const std::span<const Flag> list : {own, common_flags()}) {
    for (const Flag& flag : list) {
      items.push_back({std::string(flag.name), std::string(flag.help)});
    }
  }
  return items;
}

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
