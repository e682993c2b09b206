// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"

#include <array>
#include <cstring>

#include "base/prng.h"

namespace quorate {
namespace {

constexpr std::array<uint16_t, 256> make_table() {
  std::array<uint16_t, 256> table{};
  for (uint32_t n = 0; n < 256; ++n) {
    uint32_t value = n << 8;
    for (int bit = 0; bit < 8; ++bit) {
      value = (value & 0x8000) != 0 ? (value << 1) ^ 0x1021 : value << 1;
    }
    table[n] = static_cast<uint16_t>(value);
  }
  return table;
}

constexpr auto kTable = make_table();

uint64_t word_at(const char* at, size_t size) {
  uint64_t word = 0;
  std::memcpy(&word, at, size);
  return word;
}

// Folds a 128-bit product: the whole of both factors reaches every bit of the result.
uint64_t fold(uint64_t a, uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

}  // namespace

uint16_t crc16(std::string_view bytes) {
  uint16_t crc = 0;
  for (const char byte : bytes) {
    crc = static_cast<uint16_t>((crc << 8) ^ kTable[(crc >> 8) ^ static_cast<uint8_t>(byte)]);
  }
  return crc;
}

uint16_t slot_of(std::string_view key) {
  const size_t open = key.find('{');
  if (open != std::string_view::npos) {
    const size_t close = key.find('}', open + 1);
    if (close != std::string_view::npos && close > open + 1) {
      key = key.substr(open + 1, close - open - 1);
    }
  }
  return static_cast<uint16_t>(crc16(key) % kSlots);
}

uint64_t hash64(std::string_view bytes, uint64_t seed) {
  constexpr uint64_t kFirst = 0x9fb21c651e98df25;
  constexpr uint64_t kSecond = 0xa0761d6478bd642f;
  uint64_t state = seed ^ fold(bytes.size() ^ kFirst, kSecond);
  const char* at = bytes.data();
  size_t left = bytes.size();
  for (; left >= 16; at += 16, left -= 16) {
    state = fold(word_at(at, 8) ^ kFirst ^ state, word_at(at + 8, 8) ^ kSecond);
  }
  const size_t low = left > 8 ? 8 : left;
  const uint64_t first = low == 0 ? 0 : word_at(at, low);
  const uint64_t second = left > 8 ? word_at(at + 8, left - 8) : 0;
  return mix64(fold(first ^ kFirst ^ state, second ^ kSecond) ^ state);
}

}  // namespace quorate
