// SPDX-License-Identifier: Apache-2.0
// Writer and Reader: the bytes of every record, message and command.
//
// Fixed integers are little-endian. A varint is LEB128, at most ten bytes. A byte string is a
// varint length and the bytes. A Reader never reads past its input: the first failure makes it
// fail for good (sticky), every later read gives zero or empty, and the caller asks ok() once at
// the end. Lengths are checked against what is left, so no input can make a caller allocate more
// than it sent.
#pragma once

#include <concepts>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "base/ids.h"
#include "base/time.h"

namespace quorate {

class Writer {
 public:
  // Appends to `out`, which must outlive the Writer.
  explicit Writer(std::string& out) : out_(out) {}

  void u8(uint8_t value) { out_.push_back(static_cast<char>(value)); }
  void u16(uint16_t value) { fixed(value); }
  void u32(uint32_t value) { fixed(value); }
  void u64(uint64_t value) { fixed(value); }
  void varint(uint64_t value) {
    char bytes[10];
    size_t n = 0;
    while (value >= 0x80) {
      bytes[n++] = static_cast<char>(value | 0x80);
      value >>= 7;
    }
    bytes[n++] = static_cast<char>(value);
    out_.append(bytes, n);
  }
  void boolean(bool value) { u8(value ? 1 : 0); }
  void stamp(Stamp value) { u64(static_cast<uint64_t>(value.micros())); }
  template <class Tag, class Rep>
  void id(Strong<Tag, Rep> value) {
    varint(value.value());
  }
  void raw(std::string_view bytes) { out_.append(bytes); }
  void bytes(std::string_view value) {
    varint(value.size());
    out_.append(value);
  }

  [[nodiscard]] std::string& out() { return out_; }

 private:
  template <std::unsigned_integral T>
  void fixed(T value) {
    char bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof(T));  // little-endian hosts only; checked in codec_test
    out_.append(bytes, sizeof(T));
  }

  std::string& out_;
};

// The same for the few fields in front of something long: they are gathered here and go to their
// output at once, because each append to a string costs more than the field.
template <size_t kBytesMax>
class ShortWriter {
 public:
  void u8(uint8_t value) {
    ASSERT(size_ < kBytesMax);
    bytes_[size_++] = static_cast<char>(value);
  }
  void u16(uint16_t value) { fixed(value); }
  void u32(uint32_t value) { fixed(value); }
  void u64(uint64_t value) { fixed(value); }
  void varint(uint64_t value) {
    ASSERT(size_ + 10 <= kBytesMax);
    while (value >= 0x80) {
      bytes_[size_++] = static_cast<char>(value | 0x80);
      value >>= 7;
    }
    bytes_[size_++] = static_cast<char>(value);
  }
  template <class Tag, class Rep>
  void id(Strong<Tag, Rep> value) {
    varint(value.value());
  }
  [[nodiscard]] std::string_view view() const { return {bytes_, size_}; }
  // Appends what was gathered to `out`, and begins anew.
  void move_to(std::string& out) {
    out.append(bytes_, size_);
    size_ = 0;
  }

 private:
  template <std::unsigned_integral T>
  void fixed(T value) {
    ASSERT(size_ + sizeof(T) <= kBytesMax);
    std::memcpy(bytes_ + size_, &value, sizeof(T));
    size_ += sizeof(T);
  }

  size_t size_ = 0;
  char bytes_[kBytesMax];
};

class Reader {
 public:
  explicit Reader(std::string_view in) : in_(in) {}

  uint8_t u8() { return fixed<uint8_t>(); }
  uint16_t u16() { return fixed<uint16_t>(); }
  uint32_t u32() { return fixed<uint32_t>(); }
  uint64_t u64() { return fixed<uint64_t>(); }
  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 70; shift += 7) {
      if (in_.empty()) {
        return fail();
      }
      const auto byte = static_cast<uint8_t>(in_.front());
      in_.remove_prefix(1);
      if (shift == 63 && byte > 1) {
        return fail();
      }
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) {
        return value;
      }
    }
    return fail();
  }
  bool boolean() {
    const uint8_t value = u8();
    if (value > 1) {
      fail();
    }
    return value == 1;
  }
  Stamp stamp() { return Stamp::from_micros(static_cast<int64_t>(u64())); }
  template <class Id>
  Id id() {
    const uint64_t value = varint();
    if (value > static_cast<typename Id::rep>(-1)) {
      fail();
      return Id();
    }
    return Id(static_cast<typename Id::rep>(value));
  }
  std::string_view raw(size_t size) {
    if (size > in_.size()) {
      fail();
      return {};
    }
    const std::string_view part = in_.substr(0, size);
    in_.remove_prefix(size);
    return part;
  }
  std::string_view bytes() {
    const uint64_t size = varint();
    return raw(size > in_.size() ? in_.size() + 1 : static_cast<size_t>(size));
  }
  std::string_view rest() { return raw(in_.size()); }

  // A count of items that each take at least `bytes_each_min` bytes of what is left.
  uint64_t count(size_t bytes_each_min) {
    const uint64_t n = varint();
    if (n > in_.size() / (bytes_each_min == 0 ? 1 : bytes_each_min)) {
      return fail();
    }
    return n;
  }

  uint64_t fail() {
    failed_ = true;
    in_ = {};
    return 0;
  }
  [[nodiscard]] bool ok() const { return !failed_; }
  // Everything was read, and nothing failed.
  [[nodiscard]] bool done() const { return !failed_ && in_.empty(); }
  [[nodiscard]] size_t left() const { return in_.size(); }

 private:
  template <std::unsigned_integral T>
  T fixed() {
    if (in_.size() < sizeof(T)) {
      fail();
      return 0;
    }
    T value;
    std::memcpy(&value, in_.data(), sizeof(T));
    in_.remove_prefix(sizeof(T));
    return value;
  }

  std::string_view in_;
  bool failed_ = false;
};

}  // namespace quorate
