// SPDX-License-Identifier: Apache-2.0
// Two kinds of time, which never mix.
//   Instant  a point on this process's monotonic clock; drives timeouts and leases.
//   Stamp    the replicated wall time that a leader writes into an entry; drives expiry.
// Pure code receives both as arguments and never asks a clock.
#pragma once

#include <compare>
#include <cstdint>

namespace quorate {

class Duration {
 public:
  constexpr Duration() = default;
  [[nodiscard]] static constexpr Duration nanos(int64_t n) { return Duration(n); }
  [[nodiscard]] static constexpr Duration micros(int64_t n) { return Duration(n * 1'000); }
  [[nodiscard]] static constexpr Duration millis(int64_t n) { return Duration(n * 1'000'000); }
  [[nodiscard]] static constexpr Duration seconds(int64_t n) { return Duration(n * 1'000'000'000); }

  [[nodiscard]] constexpr int64_t nanos() const { return nanos_; }
  [[nodiscard]] constexpr int64_t micros() const { return nanos_ / 1'000; }
  [[nodiscard]] constexpr int64_t millis() const { return nanos_ / 1'000'000; }
  constexpr auto operator<=>(const Duration&) const = default;

  friend constexpr Duration operator+(Duration a, Duration b) {
    return Duration(a.nanos_ + b.nanos_);
  }
  friend constexpr Duration operator-(Duration a, Duration b) {
    return Duration(a.nanos_ - b.nanos_);
  }
  friend constexpr Duration operator*(Duration a, int64_t n) { return Duration(a.nanos_ * n); }
  friend constexpr Duration operator/(Duration a, int64_t n) { return Duration(a.nanos_ / n); }

 private:
  constexpr explicit Duration(int64_t n) : nanos_(n) {}
  int64_t nanos_ = 0;
};

class Instant {
 public:
  constexpr Instant() = default;
  [[nodiscard]] static constexpr Instant from_nanos(int64_t n) { return Instant(n); }
  [[nodiscard]] static constexpr Instant never() { return Instant(INT64_MAX); }

  [[nodiscard]] constexpr int64_t nanos() const { return nanos_; }
  constexpr auto operator<=>(const Instant&) const = default;

  friend constexpr Instant operator+(Instant t, Duration d) {
    return Instant(t.nanos_ + d.nanos());
  }
  friend constexpr Instant operator-(Instant t, Duration d) {
    return Instant(t.nanos_ - d.nanos());
  }
  friend constexpr Duration operator-(Instant a, Instant b) {
    return Duration::nanos(a.nanos_ - b.nanos_);
  }

 private:
  constexpr explicit Instant(int64_t n) : nanos_(n) {}
  int64_t nanos_ = 0;
};

// Microseconds since 1970. The node makes the stamps of a group's entries never go back.
class Stamp {
 public:
  constexpr Stamp() = default;
  [[nodiscard]] static constexpr Stamp from_micros(int64_t n) { return Stamp(n); }
  [[nodiscard]] static constexpr Stamp from_millis(int64_t n) { return Stamp(n * 1'000); }
  [[nodiscard]] static constexpr Stamp never() { return Stamp(INT64_MAX); }

  [[nodiscard]] constexpr int64_t micros() const { return micros_; }
  [[nodiscard]] constexpr int64_t millis() const { return micros_ / 1'000; }
  constexpr auto operator<=>(const Stamp&) const = default;

  friend constexpr Stamp operator+(Stamp s, Duration d) { return Stamp(s.micros_ + d.micros()); }
  friend constexpr Stamp operator-(Stamp s, Duration d) { return Stamp(s.micros_ - d.micros()); }
  friend constexpr Duration operator-(Stamp a, Stamp b) {
    return Duration::micros(a.micros_ - b.micros_);
  }

 private:
  constexpr explicit Stamp(int64_t n) : micros_(n) {}
  int64_t micros_ = 0;
};

}  // namespace quorate
