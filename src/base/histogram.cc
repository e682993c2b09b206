// SPDX-License-Identifier: Apache-2.0
#include "base/histogram.h"

#include <algorithm>

#include "base/assert.h"

namespace quorate {

void Histogram::merge(const Histogram& other) {
  for (size_t bucket = 0; bucket < kBuckets; ++bucket) {
    buckets_[bucket] += other.buckets_[bucket];
  }
  count_ += other.count_;
  sum_ += other.sum_;
  min_ = std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
}

uint64_t Histogram::bucket_begin(size_t bucket) {
  const size_t row = bucket >> kSubBits;
  const uint64_t column = bucket & ((1u << kSubBits) - 1);
  return row == 0 ? column : ((uint64_t{1} << kSubBits) + column) << (row - 1);
}

uint64_t Histogram::bucket_width(size_t bucket) {
  const size_t row = bucket >> kSubBits;
  return row == 0 ? 1 : uint64_t{1} << (row - 1);
}

uint64_t Histogram::quantile(uint32_t parts_per_million) const {
  ASSERT(parts_per_million <= 1'000'000);
  if (count_ == 0) {
    return 0;
  }
  // The rank is rounded up: the median of one value is that value, p100 is the greatest.
  const auto scaled = static_cast<unsigned __int128>(count_) * parts_per_million;
  const auto rank = std::max<uint64_t>(1, static_cast<uint64_t>((scaled + 999'999) / 1'000'000));
  uint64_t seen = 0;
  for (size_t bucket = 0; bucket < kBuckets; ++bucket) {
    const uint64_t here = buckets_[bucket];
    if (seen + here < rank) {
      seen += here;
      continue;
    }
    const auto into = static_cast<unsigned __int128>(bucket_width(bucket) - 1) * (rank - seen);
    const uint64_t value = bucket_begin(bucket) + static_cast<uint64_t>(into / here);
    return std::clamp(value, min_, max_);
  }
  ASSERT(false, "the buckets sum up to the count");
  return max_;
}

uint64_t Histogram::count_below_power(int bits) const {
  ASSERT(bits >= kSubBits && bits <= kValueBits);
  const size_t end = static_cast<size_t>(bits - kSubBits + 1) << kSubBits;
  uint64_t count = 0;
  for (size_t bucket = 0; bucket < end; ++bucket) {
    count += buckets_[bucket];
  }
  return count;
}

}  // namespace quorate
