// SPDX-License-Identifier: Apache-2.0
// Metrics: what a process counts about itself, and its text in the Prometheus format.
//
// One Metrics per shard, used on that shard only, so that an increment is an increment. A place
// that counts looks its Counter up once, by name and labels, and keeps the reference, which stays
// valid as long as the Metrics. Names follow quorate_<service>_<thing>_<unit>; a counter's name
// ends in _total. Sums of several shards are made by merge().
//
// Invariants: one name has one kind and one help text; a series exists once per set of labels.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/histogram.h"

namespace quorate {

// In the order in which they are to be printed.
using Labels = std::vector<std::pair<std::string, std::string>>;

class Counter {
 public:
  void add(uint64_t n = 1) { value_ += n; }
  [[nodiscard]] uint64_t value() const { return value_; }

 private:
  uint64_t value_ = 0;
};

class Gauge {
 public:
  void set(int64_t value) { value_ = value; }
  void add(int64_t n) { value_ += n; }
  [[nodiscard]] int64_t value() const { return value_; }

 private:
  int64_t value_ = 0;
};

// What a histogram's integers are: nanoseconds are printed as seconds, the rest as they are.
enum class Unit : uint8_t { kNanos, kPlain };

class Metrics {
 public:
  // Before: the name and label names are [a-zA-Z_][a-zA-Z0-9_]*, and the name was never used with
  // another kind. The first help text stays.
  Counter& counter(std::string_view name, std::string_view help, const Labels& labels = {});
  Gauge& gauge(std::string_view name, std::string_view help, const Labels& labels = {});
  Histogram& histogram(std::string_view name, std::string_view help, Unit unit,
                       const Labels& labels = {});

  // Adds the other shard's values: counters and histograms sum up, and so do gauges.
  void merge(const Metrics& other);

  // The text exposition format, version 0.0.4: families by name, series by labels.
  void write(std::string& out) const;

  // One series, in the order of write(): exactly one of the three is there.
  struct Series {
    std::string_view name;
    std::string_view labels;  // as between the braces of the text
    Unit unit = Unit::kPlain;
    const Counter* counter = nullptr;
    const Gauge* gauge = nullptr;
    const Histogram* histogram = nullptr;
  };
  void each(const std::function<void(const Series&)>& visit) const;
  // As it is printed: nanoseconds as seconds.
  [[nodiscard]] static std::string shown(uint64_t value, Unit unit);

 private:
  enum class Kind : uint8_t { kCounter, kGauge, kHistogram };
  struct Family {
    Kind kind;
    Unit unit = Unit::kPlain;
    std::string help;
    std::map<std::string, size_t, std::less<>> series;  // rendered labels -> place in its deque
  };

  Family& family(std::string_view name, std::string_view help, Kind kind, Unit unit);
  static void write_histogram(std::string_view name, std::string_view labels, Unit unit,
                              const Histogram& histogram, std::string& out);

  std::map<std::string, Family, std::less<>> families_;
  std::deque<Counter> counters_;
  std::deque<Gauge> gauges_;
  std::deque<Histogram> histograms_;
};

}  // namespace quorate
