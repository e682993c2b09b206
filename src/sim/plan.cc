// SPDX-License-Identifier: Apache-2.0
#include "sim/plan.h"

#include <algorithm>
#include <charconv>
#include <sstream>
#include <variant>

#include "sim/nemesis.h"

namespace quorate::sim {
namespace {

Status bad(const std::string& plan, size_t line, const std::string& what) {
  return {Code::kInvalidArgument, "plan " + plan + ", line " + std::to_string(line) + ": " + what};
}

bool parse_number(std::string_view text, uint64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

// The name of a setting and the field that it sets.
using Field = std::variant<uint64_t*, uint32_t*, int64_t*, Duration*>;
struct Setting {
  std::string_view name;
  Field field;
};

std::vector<Setting> settings_of(Plan& plan) {
  return {
      {"nodes", &plan.nodes},
      {"spares", &plan.spares},
      {"placement", &plan.placement},
      {"groups", &plan.groups},
      {"replication", &plan.replication},
      {"quiet_after", &plan.quiet_after},
      {"snapshot_log_bytes", &plan.snapshot_log_bytes},
      {"segment_bytes", &plan.segment_bytes},
      {"append_bytes", &plan.append_bytes},
      {"cached_bytes", &plan.cached_bytes},
      {"chunk_bytes", &plan.chunk_bytes},
      {"lease_reads", &plan.lease_reads},
      {"clients", &plan.clients},
      {"keys", &plan.keys},
      {"value_bytes", &plan.value_bytes},
      {"think", &plan.think},
      {"reads_percent", &plan.reads_percent},
      {"idle_percent", &plan.idle_percent},
      {"lock_clients", &plan.lock_clients},
      {"lock_domains", &plan.lock_domains},
      {"locks", &plan.locks},
      {"document_clients", &plan.document_clients},
      {"store_clients", &plan.store_clients},
      {"tend_items", &plan.tend_items},
      {"attempt", &plan.attempt},
      {"heal", &plan.heal},
      {"duration", &plan.duration},
      {"drift_ppm", &plan.drift_ppm},
      {"loss_ppm", &plan.link.loss_ppm},
      {"duplicate_ppm", &plan.link.duplicate_ppm},
      {"reorder_ppm", &plan.link.reorder_ppm},
      {"delay_min", &plan.link.delay_min},
      {"delay_max", &plan.link.delay_max},
      {"delay_rare_max", &plan.link.delay_rare_max},
      {"rare_ppm", &plan.link.rare_ppm},
      {"bytes_per_second", &plan.link.bytes_per_second},
      {"queue_bytes", &plan.link.queue_bytes_max},
      {"sync_min", &plan.disk.sync_min},
      {"sync_max", &plan.disk.sync_max},
      {"crash_keeps_per_mille", &plan.disk.crash_keeps_per_mille},
      {"crash_tears_per_mille", &plan.disk.crash_tears_per_mille},
      {"reach_seeds", &plan.reach_seeds},
  };
}

bool set(const Field& field, const std::string& word) {
  if (Duration* const* duration = std::get_if<Duration*>(&field)) {
    const Result<Duration> parsed = parse_duration(word);
    if (parsed.ok()) {
      **duration = *parsed;
    }
    return parsed.ok();
  }
  uint64_t value = 0;
  if (!parse_number(word, value)) {
    return false;
  }
  std::visit(
      [value](auto* target) {
        using T = std::remove_pointer_t<decltype(target)>;
        if constexpr (!std::is_same_v<T, Duration>) {
          *target = static_cast<T>(value);
        }
      },
      field);
  return true;
}

// "crash every 4s for 1s"
bool parse_fault(std::istringstream& words, FaultRule& rule) {
  std::string every, interval, for_word, length;
  words >> rule.kind >> every >> interval >> for_word >> length;
  const Result<Duration> mean = parse_duration(interval);
  if (every != "every" || !mean.ok() || !is_fault(rule.kind)) {
    return false;
  }
  rule.every = *mean;
  if (for_word.empty()) {
    return true;
  }
  const Result<Duration> span = parse_duration(length);
  if (for_word != "for" || !span.ok()) {
    return false;
  }
  rule.length = *span;
  return true;
}

Status parse_line(Plan& plan, size_t number, const std::string& line) {
  std::istringstream words(line);
  std::string name;
  if (!(words >> name)) {
    return {};
  }
  if (name == "fault") {
    FaultRule rule;
    if (!parse_fault(words, rule)) {
      return bad(plan.name, number, "expected: fault KIND every DURATION [for DURATION]");
    }
    plan.faults.push_back(rule);
    return {};
  }
  if (name == "must_reach") {
    for (std::string path; words >> path;) {
      plan.must_reach.push_back(path);
    }
    return {};
  }
  std::string word;
  words >> word;
  for (const Setting& setting : settings_of(plan)) {
    if (setting.name == name) {
      return set(setting.field, word) ? Status() : bad(plan.name, number, "bad value: " + word);
    }
  }
  return bad(plan.name, number, "no such setting: " + name);
}

}  // namespace

Result<Duration> parse_duration(std::string_view text) {
  const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  uint64_t value = 0;
  if (!parse_number(text.substr(0, digits), value)) {
    return Status(Code::kInvalidArgument, "not a duration: " + std::string(text));
  }
  const std::string_view unit = text.substr(digits);
  const auto n = static_cast<int64_t>(value);
  if (unit == "s") {
    return Duration::seconds(n);
  }
  if (unit == "ms") {
    return Duration::millis(n);
  }
  if (unit == "us") {
    return Duration::micros(n);
  }
  return Status(Code::kInvalidArgument, "a duration needs a unit: s, ms, us");
}

Result<Plan> parse_plan(const std::string& name, std::string_view text) {
  Plan plan;
  plan.name = name;
  std::istringstream lines{std::string(text)};
  size_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    RETURN_IF_ERROR(parse_line(plan, ++number, line.substr(0, line.find('#'))));
  }
  if (plan.replication == 0) {
    plan.replication = plan.nodes;
  }
  if (plan.nodes == 0 || plan.nodes + plan.spares > 16 || plan.groups == 0 || plan.keys == 0 ||
      plan.clients == 0 || plan.lock_domains == 0 || plan.locks == 0 ||
      plan.replication > plan.nodes) {
    return Status(Code::kInvalidArgument, "plan " + name + ": impossible numbers");
  }
  return plan;
}

Result<std::vector<Plan>> load_plans() {
  std::vector<Plan> plans;
  for (const EmbeddedPlan& embedded : embedded_plans()) {
    Result<Plan> plan = parse_plan(std::string(embedded.name), embedded.text);
    RETURN_IF_ERROR(plan);
    plans.push_back(std::move(*plan));
  }
  return plans;
}

}  // namespace quorate::sim
