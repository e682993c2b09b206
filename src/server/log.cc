// SPDX-License-Identifier: Apache-2.0
#include "server/log.h"

#include <unistd.h>

#include <ctime>

namespace quorate::server {
namespace {

bool is_plain(std::string_view value) {
  if (value.empty()) {
    return false;
  }
  for (const char c : value) {
    if (static_cast<unsigned char>(c) <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f) {
      return false;
    }
  }
  return true;
}

std::string timestamp(Stamp wall) {
  const auto seconds = static_cast<time_t>(wall.micros() / 1'000'000);
  tm parts{};
  gmtime_r(&seconds, &parts);
  char date[32];
  const size_t size = strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S.", &parts);
  std::string micros = std::to_string(wall.micros() % 1'000'000);
  micros.insert(0, 6 - micros.size(), '0');
  return std::string(date, size) + micros + "Z";
}

}  // namespace

void Field::append(std::string& line) const {
  line.append(" ").append(name_).append("=");
  if (is_plain(value_)) {
    line += value_;
    return;
  }
  static constexpr char kHex[] = "0123456789abcdef";
  line += '"';
  for (const char c : value_) {
    if (c == '"' || c == '\\') {
      line.append({'\\', c});
    } else if (c == '\n') {
      line += "\\n";
    } else if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) {
      line.append({'\\', 'x', kHex[static_cast<unsigned char>(c) >> 4], kHex[c & 15]});
    } else {
      line += c;
    }
  }
  line += '"';
}

Log::Log(const env::Clock& clock, LogLevel level, Sink sink)
    : clock_(clock), level_(level), sink_(std::move(sink)) {}

void Log::write(LogLevel level, std::string_view event,
                std::initializer_list<Field> fields) const {
  static constexpr std::string_view kNames[] = {" debug ", " info  ", " warn  ", " error "};
  if (level < level_) {
    return;
  }
  std::string line = timestamp(clock_.wall());
  line.append(kNames[static_cast<size_t>(level)]).append(event);
  for (const Field& field : fields) {
    field.append(line);
  }
  line += '\n';
  sink_(line);
}

Log::Sink standard_error_sink() {
  return [](std::string_view line) {
    while (!line.empty()) {
      const ssize_t n = ::write(STDERR_FILENO, line.data(), line.size());
      if (n <= 0) {
        return;  // nobody is left to tell
      }
      line.remove_prefix(static_cast<size_t>(n));
    }
  };
}

}  // namespace quorate::server
