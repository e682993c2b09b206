// SPDX-License-Identifier: Apache-2.0
#include "cli/arguments.h"

#include <algorithm>

#include "base/text.h"

namespace quorate::cli {
namespace {

const Flag* find(std::string_view name, std::span<const Flag> flags) {
  for (const Flag& flag : flags) {
    if (flag.name == name) {
      return &flag;
    }
  }
  return nullptr;
}

Status unknown(std::string_view name, std::span<const Flag> own, std::span<const Flag> common) {
  std::vector<std::string_view> known;
  for (const std::span<const Flag> flags : {own, common}) {
    for (const Flag& flag : flags) {
      known.push_back(flag.name);
    }
  }
  const std::string_view meant = closest(name, known);
  return Status(Code::kInvalidArgument,
                "no such flag: " + std::string(name) +
                    (meant.empty() ? "" : "; did you mean " + std::string(meant) + "?"));
}

}  // namespace

std::optional<std::string> Arguments::value(std::string_view flag) const {
  const auto at = flags.find(flag);
  return at == flags.end() ? std::nullopt : std::optional<std::string>(at->second);
}

Result<Arguments> parse_arguments(const std::vector<std::string>& words,
                                  std::span<const Flag> own, std::span<const Flag> common) {
  Arguments arguments;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "--") {
      arguments.words.insert(arguments.words.end(), words.begin() + static_cast<long>(i) + 1,
                             words.end());
      return arguments;
    }
    // A lone "-" is standard input, and "-5" may be a number; -h and -f are the only short ones.
    if (!word.starts_with("--") && word != "-h" && word != "-f") {
      arguments.words.push_back(word);
      continue;
    }
    const size_t equals = word.find('=');
    const std::string name = word == "-h"   ? "--help"
                             : word == "-f" ? "--file"
                                            : word.substr(0, equals);
    const Flag* flag = find(name, own);
    flag = flag != nullptr ? flag : find(name, common);
    if (flag == nullptr) {
      return unknown(name, own, common);
    }
    if (flag->value.empty() != (equals == std::string::npos) && flag->value.empty()) {
      return Status(Code::kInvalidArgument, name + " takes no value");
    }
    if (flag->value.empty()) {
      arguments.flags[name] = "";
    } else if (equals != std::string::npos) {
      arguments.flags[name] = word.substr(equals + 1);
    } else if (i + 1 < words.size()) {
      arguments.flags[name] = words[++i];
    } else {
      return Status(Code::kInvalidArgument, name + " needs a value");
    }
  }
  return arguments;
}

std::string describe_flags(std::span<const Flag> flags) {
  std::string text;
  for (const Flag& flag : flags) {
    std::string left = "  " + std::string(flag.name);
    left.append(flag.value.empty() ? "" : " ").append(flag.value);
    left.resize(std::max<size_t>(left.size() + 2, 26), ' ');
    text.append(left).append(flag.help).append("\n");
  }
  return text;
}

}  // namespace quorate::cli
