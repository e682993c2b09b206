// SPDX-License-Identifier: Apache-2.0
#include "base/metrics.h"

#include "base/assert.h"

namespace quorate {
namespace {

bool is_name(std::string_view name) {
  if (name.empty() || (name.front() >= '0' && name.front() <= '9')) {
    return false;
  }
  for (const char c : name) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!letter && !(c >= '0' && c <= '9') && c != '_') {
      return false;
    }
  }
  return true;
}

// A backslash and a line feed are escaped everywhere, a quote in label values only.
void escape(std::string_view text, bool quote, std::string& out) {
  for (const char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && quote) {
      out += "\\\"";
    } else {
      out += c;
    }
  }
}

// `a="1",b="2"`: the key of a series, and its text between the braces.
std::string render(const Labels& labels) {
  std::string text;
  for (const auto& [name, value] : labels) {
    ASSERT(is_name(name), "a label's name is plain ASCII");
    if (!text.empty()) {
      text += ',';
    }
    text += name;
    text += "=\"";
    escape(value, true, text);
    text += '"';
  }
  return text;
}

// Nanoseconds as seconds without floating point: 1500 -> 0.0000015.
std::string seconds_of(uint64_t nanos) {
  std::string text = std::to_string(nanos / 1'000'000'000);
  std::string fraction = std::to_string(nanos % 1'000'000'000);
  fraction.insert(0, 9 - fraction.size(), '0');
  fraction.erase(fraction.find_last_not_of('0') + 1);
  return fraction.empty() ? text : text + "." + fraction;
}

std::string number_of(uint64_t value, Unit unit) {
  return unit == Unit::kNanos ? seconds_of(value) : std::to_string(value);
}

void write_line(std::string_view name, std::string_view labels, std::string_view value,
                std::string& out) {
  out += name;
  if (!labels.empty()) {
    out += '{';
    out += labels;
    out += '}';
  }
  out += ' ';
  out += value;
  out += '\n';
}

// The series' place among `pool`, made if it is new.
template <class Pool>
auto& find_or_add(std::map<std::string, size_t, std::less<>>& series, std::string labels,
                  Pool& pool) {
  const auto [at, added] = series.try_emplace(std::move(labels), pool.size());
  if (added) {
    pool.emplace_back();
  }
  return pool[at->second];
}

}  // namespace

Metrics::Family& Metrics::family(std::string_view name, std::string_view help, Kind kind,
                                 Unit unit) {
  auto at = families_.find(name);
  if (at == families_.end()) {
    ASSERT(is_name(name), "a metric's name is plain ASCII");
    at = families_.emplace(name, Family{kind, unit, std::string(help), {}}).first;
  }
  ASSERT(at->second.kind == kind && at->second.unit == unit, "one name, one kind");
  return at->second;
}

Counter& Metrics::counter(std::string_view name, std::string_view help, const Labels& labels) {
  return find_or_add(family(name, help, Kind::kCounter, Unit::kPlain).series, render(labels),
                     counters_);
}

Gauge& Metrics::gauge(std::string_view name, std::string_view help, const Labels& labels) {
  return find_or_add(family(name, help, Kind::kGauge, Unit::kPlain).series, render(labels),
                     gauges_);
}

Histogram& Metrics::histogram(std::string_view name, std::string_view help, Unit unit,
                              const Labels& labels) {
  return find_or_add(family(name, help, Kind::kHistogram, unit).series, render(labels),
                     histograms_);
}

void Metrics::merge(const Metrics& other) {
  for (const auto& [name, theirs] : other.families_) {
    Family& ours = family(name, theirs.help, theirs.kind, theirs.unit);
    for (const auto& [labels, place] : theirs.series) {
      switch (theirs.kind) {
        case Kind::kCounter:
          find_or_add(ours.series, labels, counters_).add(other.counters_[place].value());
          break;
        case Kind::kGauge:
          find_or_add(ours.series, labels, gauges_).add(other.gauges_[place].value());
          break;
        case Kind::kHistogram:
          find_or_add(ours.series, labels, histograms_).merge(other.histograms_[place]);
          break;
      }
    }
  }
}

void Metrics::write_histogram(std::string_view name, std::string_view labels, Unit unit,
                              const Histogram& histogram, std::string& out) {
  // Powers of two are edges of our buckets, so that each line is exact; a factor of two between
  // lines keeps a family at some thirty lines. Durations start at 8 us, sizes at 32.
  const int first = unit == Unit::kNanos ? 13 : Histogram::kSubBits;
  const int last = unit == Unit::kNanos ? 36 : 30;
  const std::string bucket = std::string(name) + "_bucket";
  const std::string prefix = labels.empty() ? "" : std::string(labels) + ",";
  for (int bits = first; bits <= last; ++bits) {
    write_line(bucket, prefix + "le=\"" + number_of(uint64_t{1} << bits, unit) + "\"",
               std::to_string(histogram.count_below_power(bits)), out);
  }
  write_line(bucket, prefix + "le=\"+Inf\"", std::to_string(histogram.count()), out);
  write_line(std::string(name) + "_sum", labels, number_of(histogram.sum(), unit), out);
  write_line(std::string(name) + "_count", labels, std::to_string(histogram.count()), out);
}

void Metrics::each(const std::function<void(const Series&)>& visit) const {
  for (const auto& [name, family] : families_) {
    for (const auto& [labels, place] : family.series) {
      Series series{.name = name, .labels = labels, .unit = family.unit};
      switch (family.kind) {
        case Kind::kCounter: series.counter = &counters_[place]; break;
        case Kind::kGauge: series.gauge = &gauges_[place]; break;
        case Kind::kHistogram: series.histogram = &histograms_[place]; break;
      }
      visit(series);
    }
  }
}

std::string Metrics::shown(uint64_t value, Unit unit) { return number_of(value, unit); }

void Metrics::write(std::string& out) const {
  static constexpr std::string_view kKinds[] = {"counter", "gauge", "histogram"};
  for (const auto& [name, family] : families_) {
    out += "# HELP " + name + " ";
    escape(family.help, false, out);
    out += "\n# TYPE " + name + " ";
    out += kKinds[static_cast<size_t>(family.kind)];
    out += '\n';
    for (const auto& [labels, place] : family.series) {
      switch (family.kind) {
        case Kind::kCounter:
          write_line(name, labels, std::to_string(counters_[place].value()), out);
          break;
        case Kind::kGauge:
          write_line(name, labels, std::to_string(gauges_[place].value()), out);
          break;
        case Kind::kHistogram:
          write_histogram(name, labels, family.unit, histograms_[place], out);
          break;
      }
    }
  }
}

}  // namespace quorate
