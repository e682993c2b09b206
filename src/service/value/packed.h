// SPDX-License-Identifier: Apache-2.0
// Packed: a value in fewer bytes, for machines that keep many of them.
//
// The bytes are state: every replica must come to the same ones, whatever it was built with and
// whenever. So the encoder is ours and frozen: the same value gives the same bytes for good (golden
// bytes in packed_test.cc), and a better encoder would be another function beside this one. The
// format is a block of LZ4, which has a public description and decoders everywhere:
//
//   block    = sequence..., last literals
//   sequence = token u8 (literal count << 4 | match length - 4), [more of the count], literals,
//              distance u16 (1 .. 65,535), [more of the length]
//
// A count of 15 goes on in bytes that are added to it, up to one below 255. The last five bytes are
// literals, and no match begins in the last twelve.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace quorate::service {

// Sets `packed` and says true if that takes at least an eighth less than the value; a step for each
// of its bytes, and fewer where nothing repeats.
[[nodiscard]] bool pack(std::string_view value, std::string& packed);

// Appends the value of `size` bytes. False if `packed` is no block of just so many; then `value`
// may have grown, by no more than `size`. Before: `size` is within the limit of a value, since it
// is allocated first.
[[nodiscard]] bool unpack(std::string_view packed, size_t size, std::string& value);

}  // namespace quorate::service
