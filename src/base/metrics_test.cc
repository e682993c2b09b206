// SPDX-License-Identifier: Apache-2.0
// The latency histogram against a sorted list, and the Prometheus text against its grammar.
#include "base/metrics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <regex>
#include <sstream>

#include "base/prng.h"

namespace quorate {
namespace {

TEST(histogram, quantiles_are_within_a_thirty_second_of_the_sorted_truth) {
  Prng prng(3);
  Histogram histogram;
  std::vector<uint64_t> values;
  for (int i = 0; i < 20'000; ++i) {
    const uint64_t value = prng.next() >> (24 + prng.below(40));
    values.push_back(value);
    histogram.record(value);
  }
  std::sort(values.begin(), values.end());
  for (const uint32_t part : {1u, 10'000u, 250'000u, 500'000u, 990'000u, 999'000u, 1'000'000u}) {
    const size_t rank = std::max<size_t>(1, (values.size() * part + 999'999) / 1'000'000);
    const uint64_t truth = values[rank - 1];
    const uint64_t got = histogram.quantile(part);
    EXPECT_LE(got > truth ? got - truth : truth - got, truth / 32) << part;
  }
  EXPECT_EQ(histogram.min(), values.front());
  EXPECT_EQ(histogram.max(), values.back());
  EXPECT_EQ(histogram.quantile(1'000'000), values.back());
}

TEST(histogram, small_values_are_exact_and_nothing_gives_zero) {
  Histogram histogram;
  EXPECT_EQ(histogram.quantile(500'000), 0u);
  EXPECT_EQ(histogram.min(), 0u);
  for (uint64_t value = 0; value < 32; ++value) {
    histogram.record(value);
  }
  EXPECT_EQ(histogram.quantile(500'000), 15u);
  EXPECT_EQ(histogram.mean(), 15u);
}

TEST(histogram, parts_merged_equal_the_whole) {
  Prng prng(4);
  Histogram whole;
  Histogram parts[3];
  for (int i = 0; i < 3'000; ++i) {
    const uint64_t value = prng.below(1'000'000'000);
    whole.record(value);
    parts[i % 3].record(value);
  }
  parts[0].merge(parts[1]);
  parts[0].merge(parts[2]);
  EXPECT_EQ(parts[0].count(), whole.count());
  EXPECT_EQ(parts[0].sum(), whole.sum());
  for (uint32_t part = 0; part <= 1'000'000; part += 50'000) {
    EXPECT_EQ(parts[0].quantile(part), whole.quantile(part));
  }
}

TEST(histogram, a_value_beyond_the_range_still_counts) {
  Histogram histogram;
  histogram.record(uint64_t{1} << 50);
  histogram.record(Duration::nanos(-5));
  EXPECT_EQ(histogram.count(), 2u);
  EXPECT_EQ(histogram.max(), uint64_t{1} << 50);
  EXPECT_EQ(histogram.min(), 0u);
  EXPECT_EQ(histogram.count_below_power(Histogram::kSubBits), 1u);
}

TEST(metrics, the_text_is_exactly_this) {
  Metrics metrics;
  metrics.counter("quorate_http_requests_total", "Requests.", {{"verb", "put"}}).add(3);
  metrics.counter("quorate_http_requests_total", "Ignored.", {{"verb", "a\"b\\c\nd"}}).add();
  metrics.gauge("quorate_http_connections", "Open\nnow.").set(-2);
  std::string text;
  metrics.write(text);
  EXPECT_EQ(text,
            "# HELP quorate_http_connections Open\\nnow.\n"
            "# TYPE quorate_http_connections gauge\n"
            "quorate_http_connections -2\n"
            "# HELP quorate_http_requests_total Requests.\n"
            "# TYPE quorate_http_requests_total counter\n"
            "quorate_http_requests_total{verb=\"a\\\"b\\\\c\\nd\"} 1\n"
            "quorate_http_requests_total{verb=\"put\"} 3\n");
}

TEST(metrics, a_histogram_is_cumulative_and_in_seconds) {
  Metrics metrics;
  Histogram& histogram = metrics.histogram("quorate_kv_put_seconds", "Time of a put.",
                                           Unit::kNanos, {{"group", "1"}});
  histogram.record(Duration::micros(9));
  histogram.record(Duration::millis(1'500));
  std::string text;
  metrics.write(text);
  EXPECT_NE(text.find("quorate_kv_put_seconds_bucket{group=\"1\",le=\"0.000008192\"} 0\n"),
            std::string::npos);
  EXPECT_NE(text.find("quorate_kv_put_seconds_bucket{group=\"1\",le=\"0.000016384\"} 1\n"),
            std::string::npos);
  EXPECT_NE(text.find("quorate_kv_put_seconds_bucket{group=\"1\",le=\"+Inf\"} 2\n"),
            std::string::npos);
  EXPECT_NE(text.find("quorate_kv_put_seconds_sum{group=\"1\"} 1.500009\n"), std::string::npos);
  EXPECT_NE(text.find("quorate_kv_put_seconds_count{group=\"1\"} 2\n"), std::string::npos);
}

TEST(metrics, every_line_matches_the_grammar_of_the_format) {
  Metrics metrics;
  metrics.counter("a_total", "A.", {{"x", "\\\"\n"}, {"y", ""}}).add(1ull << 60);
  metrics.gauge("b", "").set(INT64_MIN);
  metrics.histogram("c_bytes", "C.", Unit::kPlain).record(100);
  metrics.histogram("d_seconds", "D.", Unit::kNanos, {{"k", "v"}}).record(100);
  std::string text;
  metrics.write(text);
  const std::regex comment("# (HELP [a-zA-Z_][a-zA-Z0-9_]* .*|"
                           "TYPE [a-zA-Z_][a-zA-Z0-9_]* (counter|gauge|histogram))");
  const std::regex sample("[a-zA-Z_][a-zA-Z0-9_]*"
                          "(\\{[a-z]+=\"([^\"\\\\]|\\\\.)*\"(,[a-z]+=\"([^\"\\\\]|\\\\.)*\")*\\})?"
                          " -?[0-9]+(\\.[0-9]+)?");
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    EXPECT_TRUE(std::regex_match(line, comment) || std::regex_match(line, sample)) << line;
  }
}

TEST(metrics, shards_sum_up_and_references_stay_valid) {
  Metrics shards[2];
  Counter& first = shards[0].counter("n_total", "N.", {{"a", "0"}});
  for (int i = 1; i < 100; ++i) {
    shards[0].counter("n_total", "N.", {{"a", std::to_string(i)}});
  }
  first.add(5);
  shards[1].counter("n_total", "N.", {{"a", "0"}}).add(7);
  shards[1].gauge("g", "G.").set(2);
  shards[1].histogram("h", "H.", Unit::kPlain).record(1);
  Metrics sum;
  sum.merge(shards[0]);
  sum.merge(shards[1]);
  EXPECT_EQ(sum.counter("n_total", "N.", {{"a", "0"}}).value(), 12u);
  EXPECT_EQ(sum.gauge("g", "G.").value(), 2);
  EXPECT_EQ(sum.histogram("h", "H.", Unit::kPlain).count(), 1u);
}

}  // namespace
}  // namespace quorate
