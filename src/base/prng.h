// SPDX-License-Identifier: Apache-2.0
// Prng: repeatable randomness from one seed (xoshiro256** seeded by splitmix64). Never for secrets.
#pragma once

#include <bit>
#include <cstdint>

#include "base/assert.h"

namespace quorate {

// One step of splitmix64: a good mixer of a counter or of a hash.
[[nodiscard]] constexpr uint64_t mix64(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

class Prng {
 public:
  constexpr explicit Prng(uint64_t seed) {
    for (uint64_t& word : state_) {
      word = mix64(seed);
      seed += 0x9e3779b97f4a7c15;
    }
  }

  constexpr uint64_t next() {
    const uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

  // Uniform in [0, bound). Before: bound > 0. The bias is below 2^-32 for bounds under 2^32.
  constexpr uint64_t below(uint64_t bound) {
    ASSERT(bound > 0);
    return static_cast<uint64_t>((static_cast<unsigned __int128>(next()) * bound) >> 64);
  }
  // Uniform in [low, high].
  constexpr int64_t between(int64_t low, int64_t high) {
    ASSERT(low <= high);
    return low + static_cast<int64_t>(below(static_cast<uint64_t>(high - low) + 1));
  }
  // True `parts` times in `whole`.
  constexpr bool chance(uint64_t parts, uint64_t whole) { return below(whole) < parts; }
  // An independent stream, so that one consumer's draws do not shift another's.
  constexpr Prng fork() { return Prng(next()); }

 private:
  uint64_t state_[4] = {};
};

}  // namespace quorate
