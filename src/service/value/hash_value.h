// SPDX-License-Identifier: Apache-2.0
// A hash as a value: fields, each with a value, in the order in which they came. Pure.
//
//   image = mark (8 bytes), count u32, then per field: name bytes, value bytes
//
// The mark makes a value a hash wherever it goes: into a history, a backup, another key. No text
// and no JSON begins so, and who writes a value that does is asked whether it is an image. Names
// are looked for one after the other: an image is bounded (limits::kKvHashBytesMax), and each
// change writes it anew.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/codec.h"

namespace quorate::service {

inline constexpr std::string_view kHashMark("\x00\xffhash!\x01", 8);

[[nodiscard]] inline bool is_hash(std::string_view value) { return value.starts_with(kHashMark); }

// Of bytes for which is_hash(): whether they are an image with at least one field and no name
// twice.
[[nodiscard]] bool is_hash_image(std::string_view bytes);

struct HashField {
  std::string_view name = {};
  std::string_view value = {};
  bool operator==(const HashField&) const = default;
};

// Goes through an image. Before: it is one.
class HashReader {
 public:
  explicit HashReader(std::string_view image);

  [[nodiscard]] size_t size() const { return size_; }
  // False: there is no more.
  [[nodiscard]] bool next(HashField& field);

 private:
  Reader reader_;
  size_t size_;
};

// An empty image is that of a hash without fields, which is kept nowhere.
[[nodiscard]] size_t hash_size(std::string_view image);
[[nodiscard]] std::optional<std::string_view> find_hash_field(std::string_view image,
                                                              std::string_view name);
// Makes the image with these fields in `out`; those that are new stand behind the others. Of fields
// of one name the last counts. How many are new.
size_t put_hash_fields(std::string_view image, const std::vector<HashField>& fields,
                       std::string& out);
// Makes the image without these fields in `out`; empty if none is left. How many are gone.
size_t erase_hash_fields(std::string_view image, const std::vector<std::string_view>& names,
                         std::string& out);

}  // namespace quorate::service
