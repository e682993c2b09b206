// SPDX-License-Identifier: Apache-2.0
#include "service/value/packed.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#include "base/assert.h"

namespace quorate::service {
namespace {

constexpr size_t kMatchBytesMin = 4;
constexpr size_t kDistanceMax = 0xffff;
constexpr size_t kLastLiterals = 5;
constexpr size_t kLastMatchBefore = 12;
constexpr size_t kInToken = 15;  // from here on a count goes on behind the token
constexpr unsigned kTableBitsMin = 8;
constexpr unsigned kTableBitsMax = 13;
// After so many literals in a row the search takes longer steps: what does not repeat is passed.
constexpr unsigned kPatienceBits = 6;

uint32_t word_at(std::string_view bytes, size_t at) {
  uint32_t word = 0;
  std::memcpy(&word, bytes.data() + at, sizeof(word));
  return word;
}

class Encoder {
 public:
  Encoder(std::string_view value, std::string& out)
      : value_(value),
        out_(out),
        bits_(std::clamp<unsigned>(static_cast<unsigned>(std::bit_width(value.size())),
                                   kTableBitsMin, kTableBitsMax)) {
    std::fill_n(seen_.begin(), size_t{1} << bits_, 0);
  }

  void run() {
    size_t at = 0;
    while (at + kLastMatchBefore <= value_.size()) {
      const size_t source = find(at);
      if (source == at) {
        at += 1 + ((at - begin_) >> kPatienceBits);
        continue;
      }
      const size_t length = match_length(source, at);
      write_sequence(at, at - source, length);
      at += length;
      begin_ = at;
    }
    write_literals(value_.size(), 0);
  }

 private:
  // Where the four bytes at `at` stood before; `at` if nowhere in reach.
  size_t find(size_t at) {
    const uint32_t word = word_at(value_, at);
    uint32_t& place = seen_[(word * 2'654'435'761u) >> (32 - bits_)];
    const uint32_t before = place;  // one more than the place; 0: none
    place = static_cast<uint32_t>(at) + 1;
    const bool fits =
        before != 0 && at - (before - 1) <= kDistanceMax && word_at(value_, before - 1) == word;
    return fits ? before - 1 : at;
  }

  [[nodiscard]] size_t match_length(size_t source, size_t at) const {
    const size_t end = value_.size() - kLastLiterals;
    size_t length = kMatchBytesMin;
    while (at + length < end && value_[source + length] == value_[at + length]) {
      ++length;
    }
    return length;
  }

  void write_sequence(size_t at, size_t distance, size_t length) {
    ASSERT(distance >= 1 && distance <= kDistanceMax && length >= kMatchBytesMin);
    const size_t more = length - kMatchBytesMin;
    write_literals(at, std::min(more, kInToken));
    out_.push_back(static_cast<char>(distance & 0xff));
    out_.push_back(static_cast<char>(distance >> 8));
    write_more(more);
  }

  void write_literals(size_t end, size_t match) {
    const size_t count = end - begin_;
    out_.push_back(static_cast<char>(std::min(count, kInToken) << 4 | match));
    write_more(count);
    out_.append(value_, begin_, count);
  }

  void write_more(size_t count) {
    if (count < kInToken) {
      return;
    }
    size_t left = count - kInToken;
    for (; left >= 255; left -= 255) {
      out_.push_back('\xff');
    }
    out_.push_back(static_cast<char>(left));
  }

  std::string_view value_;
  std::string& out_;
  size_t begin_ = 0;  // of the literals that are not written yet
  unsigned bits_;
  std::array<uint32_t, size_t{1} << kTableBitsMax> seen_;
};

class Decoder {
 public:
  Decoder(std::string_view packed, size_t size, std::string& out)
      : in_(packed), out_(out), base_(out.size()), end_(out.size() + size) {
    out_.reserve(end_);
  }

  bool run() {
    while (!in_.empty()) {
      const auto token = static_cast<uint8_t>(take());
      const size_t literals = read_more(token >> 4);
      if (literals > in_.size() || literals > left()) {
        return false;
      }
      out_.append(in_, 0, literals);
      in_.remove_prefix(literals);
      if (in_.empty()) {
        return left() == 0 && (token & kInToken) == 0;
      }
      if (!copy_match(token & kInToken)) {
        return false;
      }
    }
    return false;  // a block ends with literals, if only with none of them
  }

 private:
  [[nodiscard]] size_t left() const { return end_ - out_.size(); }

  char take() {
    const char byte = in_.front();
    in_.remove_prefix(1);
    return byte;
  }

  // More than `left()` is as good as too much: the sum stops there.
  size_t read_more(size_t count) {
    if (count < kInToken) {
      return count;
    }
    uint8_t byte = 255;
    while (byte == 255 && !in_.empty() && count <= end_) {
      byte = static_cast<uint8_t>(take());
      count += byte;
    }
    return count;
  }

  bool copy_match(size_t in_token) {
    if (in_.size() < 2) {
      return false;
    }
    size_t distance = static_cast<uint8_t>(take());
    distance |= static_cast<size_t>(static_cast<uint8_t>(take())) << 8;
    const size_t length = read_more(in_token) + kMatchBytesMin;
    if (distance == 0 || distance > out_.size() - base_ || length > left()) {
      return false;
    }
    // A match may reach into what it writes, and repeats it then.
    for (size_t done = 0; done < length;) {
      const size_t part = std::min(length - done, distance);
      out_.append(out_, out_.size() - distance, part);
      done += part;
    }
    return true;
  }

  std::string_view in_;
  std::string& out_;
  size_t base_;
  size_t end_;
};

}  // namespace

bool pack(std::string_view value, std::string& packed) {
  ASSERT(value.size() < UINT32_MAX);
  packed.clear();
  Encoder(value, packed).run();
  return packed.size() <= value.size() - value.size() / 8 && packed.size() < value.size();
}

bool unpack(std::string_view packed, size_t size, std::string& value) {
  return Decoder(packed, size, value).run();
}

}  // namespace quorate::service
