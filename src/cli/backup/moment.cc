// SPDX-License-Identifier: Apache-2.0
#include "cli/backup/moment.h"

#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>

namespace quorate::cli {
namespace {

using std::chrono::milliseconds;

Status no_moment() {
  return Status(Code::kInvalidArgument,
                "--at takes a time such as 2026-01-31T10:00:00Z or @1764000000, a revision, or a "
                "cursor such as 3:120,4:7");
}

// Takes digits from the front; false if there is none, or more than a number of 64 bits has.
bool take_number(std::string_view& text, uint64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) {
    return false;
  }
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return true;
}

// So many digits, of a number up to `most`.
bool take_field(std::string_view& text, size_t digits, uint64_t most, uint64_t& number) {
  std::string_view field = text.substr(0, digits);
  if (field.size() < digits || !take_number(field, number) || !field.empty() || number > most) {
    return false;
  }
  text.remove_prefix(digits);
  return true;
}

bool take_one_of(std::string_view& text, std::string_view known) {
  if (text.empty() || known.find(text.front()) == known.npos) {
    return false;
  }
  text.remove_prefix(1);
  return true;
}

// ".250", if there is a point; digits beyond milliseconds are cut.
bool take_fraction(std::string_view& text, uint64_t& millis) {
  millis = 0;
  if (!take_one_of(text, ".")) {
    return true;
  }
  uint64_t unit = 100;
  size_t digits = 0;
  while (!text.empty() && text.front() >= '0' && text.front() <= '9') {
    millis += unit * static_cast<uint64_t>(text.front() - '0');
    unit /= 10;
    ++digits;
    text.remove_prefix(1);
  }
  return digits > 0;
}

// "Z" or "+01:00".
bool take_zone(std::string_view& text, int64_t& minutes) {
  if (take_one_of(text, "Zz")) {
    minutes = 0;
    return true;
  }
  const bool is_west = text.starts_with("-");
  uint64_t hours = 0;
  uint64_t rest = 0;
  if (!take_one_of(text, "+-") || !take_field(text, 2, 23, hours) || !take_one_of(text, ":") ||
      !take_field(text, 2, 59, rest)) {
    return false;
  }
  minutes = static_cast<int64_t>(hours * 60 + rest) * (is_west ? -1 : 1);
  return true;
}

std::optional<uint64_t> parse_date(std::string_view text) {
  uint64_t year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, millis = 0;
  int64_t zone = 0;
  const bool is_time = take_field(text, 4, 9'999, year) && take_one_of(text, "-") &&
                       take_field(text, 2, 12, month) && take_one_of(text, "-") &&
                       take_field(text, 2, 31, day) && take_one_of(text, "Tt ") &&
                       take_field(text, 2, 23, hour) && take_one_of(text, ":") &&
                       take_field(text, 2, 59, minute) && take_one_of(text, ":") &&
                       take_field(text, 2, 60, second) && take_fraction(text, millis) &&
                       take_zone(text, zone) && text.empty();
  const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(year)),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!is_time || !date.ok() || year < 1970) {
    return std::nullopt;
  }
  const auto at = std::chrono::sys_days(date).time_since_epoch() + std::chrono::hours(hour) +
                  std::chrono::minutes(static_cast<int64_t>(minute) - zone) +
                  std::chrono::seconds(second) + milliseconds(millis);
  const int64_t at_ms = std::chrono::duration_cast<milliseconds>(at).count();
  return at_ms < 0 ? std::nullopt : std::optional(static_cast<uint64_t>(at_ms));
}

std::optional<uint64_t> parse_seconds(std::string_view text) {
  uint64_t seconds = 0, millis = 0;
  const bool is_time = take_number(text, seconds) && take_fraction(text, millis) && text.empty() &&
                       seconds < UINT64_MAX / 1'000 - 1;
  return is_time ? std::optional(seconds * 1'000 + millis) : std::nullopt;
}

bool parse_cursor(std::string_view text, std::map<uint64_t, uint64_t>& revisions) {
  uint64_t group = 0;
  uint64_t revision = 0;
  if (text.find(':') == text.npos) {
    const bool is_number = take_number(text, revision) && text.empty();
    revisions[0] = revision;
    return is_number;
  }
  do {
    if (!take_number(text, group) || !take_one_of(text, ":") || !take_number(text, revision) ||
        group == 0 || !revisions.emplace(group, revision).second) {
      return false;
    }
  } while (take_one_of(text, ","));
  return text.empty();
}

}  // namespace

Result<Moment> parse_moment(std::string_view text) {
  Moment moment;
  if (text.starts_with("@")) {
    moment.at_ms = parse_seconds(text.substr(1));
  } else if (text.find('-') != text.npos) {
    moment.at_ms = parse_date(text);
  } else if (!parse_cursor(text, moment.revisions)) {
    return no_moment();
  }
  return moment.is_newest() ? Result<Moment>(no_moment()) : Result<Moment>(std::move(moment));
}

std::string time_text(uint64_t at_ms) {
  const std::chrono::sys_time<milliseconds> at{milliseconds(at_ms)};
  const auto day = std::chrono::floor<std::chrono::days>(at);
  const std::chrono::year_month_day date(day);
  const auto rest = static_cast<unsigned>((at - day).count());
  std::array<char, 48> text{};
  (void)std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02u:%02u:%02u.%03uZ",
                      static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                      static_cast<unsigned>(date.day()), rest / 3'600'000, rest / 60'000 % 60,
                      rest / 1'000 % 60, rest % 1'000);
  return text.data();
}

uint64_t now_millis() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::duration_cast<milliseconds>(since).count());
}

Result<uint64_t> parse_span(std::string_view text, std::string_view flag) {
  struct Unit {
    std::string_view name;
    uint64_t millis;
  };
  constexpr Unit kUnits[] = {
      {"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}};
  constexpr uint64_t kMost = 36'500ull * 86'400'000;
  uint64_t number = 0;
  if (take_number(text, number)) {
    for (const Unit& unit : kUnits) {
      if (text == unit.name && number <= kMost / unit.millis) {
        return number * unit.millis;
      }
    }
  }
  return Status(Code::kInvalidArgument, std::string(flag) + " takes a time such as 30s, 24h or 7d");
}

}  // namespace quorate::cli
