// SPDX-License-Identifier: Apache-2.0
// What the codecs of services share: closed enums, signed numbers, durations, lists, and variants
// of commands and answers.
//
//   variant = version (2 bits) | position of the alternative (6 bits), its fields
//
// A service gives write_fields(Writer&, const T&) and read_fields(Reader&, T&) for each struct, in
// its own namespace, where the templates find them by their arguments.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/assert.h"
#include "base/codec.h"
#include "base/status.h"
#include "base/time.h"

namespace quorate::service {

inline constexpr uint8_t kVerbVersion = 0;
inline constexpr unsigned kVerbBits = 6;
inline constexpr uint8_t kVerbMask = (1u << kVerbBits) - 1;

template <class Enum>
void write_enum(Writer& writer, Enum value) {
  writer.u8(static_cast<uint8_t>(value));
}

template <class Enum>
void read_enum(Reader& reader, Enum greatest, Enum& value) {
  const uint8_t number = reader.u8();
  if (number > static_cast<uint8_t>(greatest)) {
    reader.fail();
    return;
  }
  value = static_cast<Enum>(number);
}

// Small numbers of either sign take few bytes.
template <class AnyWriter>
void write_signed(AnyWriter& writer, int64_t value) {
  const auto bits = static_cast<uint64_t>(value);
  writer.varint(bits << 1 ^ (value < 0 ? ~uint64_t{0} : 0));
}

inline int64_t read_signed(Reader& reader) {
  const uint64_t bits = reader.varint();
  return static_cast<int64_t>(bits >> 1 ^ ((bits & 1) != 0 ? ~uint64_t{0} : 0));
}

// Leases and waits are counted in microseconds and never negative.
inline void write_duration(Writer& writer, Duration duration) {
  writer.varint(static_cast<uint64_t>(duration.micros()));
}

inline Duration read_duration(Reader& reader) {
  constexpr uint64_t kMicrosMax = INT64_MAX / 1'000;
  const uint64_t micros = reader.varint();
  return Duration::micros(static_cast<int64_t>(micros > kMicrosMax ? reader.fail() : micros));
}

// A refusal opens an answer in a form of its own (registry.h) and is no alternative to be written.
inline void write_fields(Writer&, const Status&) { ASSERT(false, "a refusal has its own form"); }
inline void read_fields(Reader& reader, Status&) { reader.fail(); }

inline void write_fields(Writer& writer, std::string_view name) { writer.bytes(name); }
inline void read_fields(Reader& reader, std::string_view& name) { name = reader.bytes(); }

// An element may take one byte and become a whole struct, so a list is not sized by its count.
template <class T>
void write_list(Writer& writer, const std::vector<T>& list) {
  writer.varint(list.size());
  for (const T& element : list) {
    write_fields(writer, element);
  }
}

template <class T>
void read_list(Reader& reader, size_t most, std::vector<T>& list) {
  uint64_t left = reader.count(1);
  if (left > most) {
    left = reader.fail();
  }
  for (; left > 0 && reader.ok(); --left) {
    read_fields(reader, list.emplace_back());
  }
}

// Writes the position of the alternative, then its fields by write_fields(Writer&, const T&).
template <class Variant>
void write_variant(Writer& writer, const Variant& variant) {
  static_assert(std::variant_size_v<Variant> <= kVerbMask);
  writer.u8(static_cast<uint8_t>(kVerbVersion << kVerbBits | variant.index()));
  std::visit([&writer](const auto& fields) { write_fields(writer, fields); }, variant);
}

template <class Variant, size_t kAt = 0>
void read_alternative(Reader& reader, size_t number, Variant& variant) {
  if constexpr (kAt == std::variant_size_v<Variant>) {
    reader.fail();
  } else if (number == kAt) {
    read_fields(reader, variant.template emplace<kAt>());
  } else {
    read_alternative<Variant, kAt + 1>(reader, number, variant);
  }
}

template <class Variant>
void read_variant(Reader& reader, Variant& variant) {
  const uint8_t tag = reader.u8();
  if (tag >> kVerbBits != kVerbVersion) {
    reader.fail();
    return;
  }
  read_alternative(reader, tag & kVerbMask, variant);
}

}  // namespace quorate::service
