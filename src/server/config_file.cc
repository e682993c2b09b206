// SPDX-License-Identifier: Apache-2.0
#include "server/config_file.h"

#include <optional>

namespace quorate::server {
namespace {

bool is_bare(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-' || c == '.';
}

class Parser {
 public:
  Parser(std::string_view text, std::string_view file) : text_(text), file_(file) {}

  Result<std::vector<Setting>> run() {
    while (true) {
      skip_blank(true);
      if (at_ == text_.size()) {
        return std::move(settings_);
      }
      RETURN_IF_ERROR(text_[at_] == '[' ? section() : setting());
      skip_blank(false);
      if (at_ < text_.size() && text_[at_] != '\n') {
        return wrong("unexpected text after the value");
      }
    }
  }

 private:
  [[nodiscard]] std::string origin() const {
    return std::string(file_) + ":" + std::to_string(line_);
  }
  [[nodiscard]] Status wrong(std::string_view what) const {
    return Status(Code::kInvalidArgument, origin() + ": " + std::string(what));
  }

  // Spaces and comments; line ends too if `lines`.
  void skip_blank(bool lines) {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '#') {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else if (c == ' ' || c == '\t' || c == '\r') {
        ++at_;
      } else if (c == '\n' && lines) {
        ++at_;
        ++line_;
      } else {
        return;
      }
    }
  }

  bool take(char c) {
    if (at_ < text_.size() && text_[at_] == c) {
      ++at_;
      return true;
    }
    return false;
  }

  std::string bare() {
    const size_t begin = at_;
    while (at_ < text_.size() && is_bare(text_[at_])) {
      ++at_;
    }
    return std::string(text_.substr(begin, at_ - begin));
  }

  Status section() {
    take('[');
    skip_blank(false);
    section_ = bare();
    skip_blank(false);
    if (section_.empty() || !take(']')) {
      return wrong("a section is written [name]");
    }
    return Status::success();
  }

  Status setting() {
    Setting setting;
    setting.origin = origin();
    const std::string name = bare();
    skip_blank(false);
    if (name.empty() || !take('=')) {
      return wrong("expected 'name = value' or '[section]'");
    }
    setting.name = section_.empty() ? name : section_ + "." + name;
    skip_blank(false);
    RETURN_IF_ERROR(take('[') ? list(setting) : value(setting));
    for (const Setting& other : settings_) {
      if (other.name == setting.name) {
        return wrong("'" + setting.name + "' was set at " + other.origin + " already");
      }
    }
    settings_.push_back(std::move(setting));
    return Status::success();
  }

  Status list(Setting& setting) {
    setting.list = true;
    skip_blank(true);
    while (!take(']')) {
      RETURN_IF_ERROR(value(setting));
      skip_blank(true);
      if (!take(',') && (at_ == text_.size() || text_[at_] != ']')) {
        return wrong("expected ',' or ']' in a list");
      }
      skip_blank(true);
    }
    return Status::success();
  }

  Status value(Setting& setting) {
    if (take('"')) {
      return quoted(setting);
    }
    const std::string text = bare();
    const bool number = !text.empty() && text.find_first_not_of("0123456789_") == std::string::npos;
    if (text.empty()) {
      return wrong("the value is missing");
    }
    if (text != "true" && text != "false" && !number) {
      return wrong("text needs quotes: \"" + text + "\"");
    }
    setting.values.push_back(text);
    return Status::success();
  }

  Status quoted(Setting& setting) {
    std::string text;
    while (at_ < text_.size() && text_[at_] != '\n') {
      const char c = text_[at_++];
      if (c == '"') {
        setting.values.push_back(std::move(text));
        return Status::success();
      }
      if (c != '\\') {
        text += c;
        continue;
      }
      const std::optional<char> escaped = escape();
      if (!escaped) {
        return wrong("only \\\" \\\\ \\n and \\t may follow a backslash");
      }
      text += *escaped;
    }
    return wrong("the closing quote is missing");
  }

  std::optional<char> escape() {
    switch (at_ < text_.size() ? text_[at_++] : '\0') {
      case '"': return '"';
      case '\\': return '\\';
      case 'n': return '\n';
      case 't': return '\t';
      default: return std::nullopt;
    }
  }

  const std::string_view text_;
  const std::string_view file_;
  size_t at_ = 0;
  int line_ = 1;
  std::string section_;
  std::vector<Setting> settings_;
};

}  // namespace

Result<std::vector<Setting>> parse_config_file(std::string_view text, std::string_view file) {
  return Parser(text, file).run();
}

}  // namespace quorate::server
