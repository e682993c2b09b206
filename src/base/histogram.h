// SPDX-License-Identifier: Apache-2.0
// Histogram: how long things took, in a fixed 9 KiB, with a relative error of at most 1/32.
//
// Log-linear: values below 32 have a bucket each; above, every power of two is cut into 32 equal
// buckets, up to 2^40 (18 minutes in nanoseconds; what is greater counts in the last bucket).
// Recording is a shift and an increment. Histograms of several shards or runs add up exactly.
// Integers only: quantiles are asked for in parts per million, 999'000 being p99.9.
//
// Invariants: count() is the sum of the buckets; min() <= quantile(q) <= max() for every q.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace quorate {

class Histogram {
 public:
  static constexpr int kSubBits = 5;
  static constexpr int kValueBits = 40;
  static constexpr size_t kBuckets = size_t{kValueBits - kSubBits + 1} << kSubBits;

  void record(uint64_t value) { record_many(value, 1); }
  void record(Duration took) {
    record(took.nanos() < 0 ? 0 : static_cast<uint64_t>(took.nanos()));
  }
  void record_many(uint64_t value, uint64_t times) {
    if (times == 0) {
      return;
    }
    buckets_[bucket_of(value)] += times;
    count_ += times;
    sum_ += value * times;
    min_ = value < min_ ? value : min_;
    max_ = value > max_ ? value : max_;
  }
  void merge(const Histogram& other);
  void clear() { *this = Histogram(); }

  [[nodiscard]] uint64_t count() const { return count_; }
  [[nodiscard]] uint64_t sum() const { return sum_; }
  [[nodiscard]] uint64_t min() const { return count_ == 0 ? 0 : min_; }
  [[nodiscard]] uint64_t max() const { return max_; }
  [[nodiscard]] uint64_t mean() const { return count_ == 0 ? 0 : sum_ / count_; }
  // The value that `parts_per_million` of all values do not exceed, interpolated inside its bucket;
  // 0 if there are none. Before: parts_per_million <= 1'000'000.
  [[nodiscard]] uint64_t quantile(uint32_t parts_per_million) const;
  // How many values are below 2^bits, exactly. Before: kSubBits <= bits <= kValueBits.
  [[nodiscard]] uint64_t count_below_power(int bits) const;

 private:
  static constexpr size_t bucket_of(uint64_t value) {
    if (value >> kValueBits != 0) {
      return kBuckets - 1;
    }
    if (value < (uint64_t{1} << kSubBits)) {
      return static_cast<size_t>(value);
    }
    const int shift = std::bit_width(value) - 1 - kSubBits;
    const auto row = static_cast<size_t>(shift + 1);
    return (row << kSubBits) + static_cast<size_t>((value >> shift) & ((1u << kSubBits) - 1));
  }
  // The least value of a bucket, and how many values it spans.
  static uint64_t bucket_begin(size_t bucket);
  static uint64_t bucket_width(size_t bucket);

  std::array<uint64_t, kBuckets> buckets_{};
  uint64_t count_ = 0;
  uint64_t sum_ = 0;
  uint64_t min_ = UINT64_MAX;
  uint64_t max_ = 0;
};

}  // namespace quorate
