// SPDX-License-Identifier: Apache-2.0
// Log: one line per event, for people and for programs:
//
//   2026-01-31T12:00:00.123456Z info  leader group=3 node=2 term=7 why="election won"
//
// Time, level, the event's name, then fields. A value is quoted if it is not one plain word. No
// secret is ever a field: values of keys, tokens and certificates' contents are not logged.
// One Log per process, used on one thread; a line is one write, so that lines of several processes
// on one terminal do not mix.
#pragma once

#include <concepts>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>

#include "env/clock.h"
#include "server/config.h"

namespace quorate::server {

class Field {
 public:
  Field(std::string_view name, std::string_view value) : name_(name), value_(value) {}
  Field(std::string_view name, const char* value) : name_(name), value_(value) {}
  Field(std::string_view name, const std::string& value) : name_(name), value_(value) {}
  Field(std::string_view name, std::integral auto value)
      : name_(name), value_(std::to_string(value)) {}

  void append(std::string& line) const;

 private:
  std::string_view name_;
  std::string value_;
};

class Log {
 public:
  using Sink = std::function<void(std::string_view line)>;

  // Lines go to `sink`, with their line feed. The clock must outlive it.
  Log(const env::Clock& clock, LogLevel level, Sink sink);

  void debug(std::string_view event, std::initializer_list<Field> fields = {}) const {
    write(LogLevel::kDebug, event, fields);
  }
  void info(std::string_view event, std::initializer_list<Field> fields = {}) const {
    write(LogLevel::kInfo, event, fields);
  }
  void warning(std::string_view event, std::initializer_list<Field> fields = {}) const {
    write(LogLevel::kWarning, event, fields);
  }
  void error(std::string_view event, std::initializer_list<Field> fields = {}) const {
    write(LogLevel::kError, event, fields);
  }

 private:
  void write(LogLevel level, std::string_view event, std::initializer_list<Field> fields) const;

  const env::Clock& clock_;
  const LogLevel level_;
  const Sink sink_;
};

// To standard error, one write per line.
[[nodiscard]] Log::Sink standard_error_sink();

}  // namespace quorate::server
