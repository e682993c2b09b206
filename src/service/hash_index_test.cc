// SPDX-License-Identifier: Apache-2.0
#include "service/hash_index.h"

#include <gtest/gtest.h>

namespace quorate::service {
namespace {

// A hash whose tag is `tag`.
constexpr uint64_t tagged(uint8_t tag) { return uint64_t{tag} << 56; }

// The reference of an erased entry stays in its slot; no tag may lead there.
TEST(HashIndex, a_slot_that_was_freed_is_never_looked_at) {
  for (int tag = 0; tag < 256; ++tag) {
    Entries entries;
    HashIndex index(entries, 0);
    const uint64_t hash = tagged(static_cast<uint8_t>(tag));
    const Ref stays = entries.make("stays", {"", ""});
    const Ref goes = entries.make("goes", {"", ""});
    index.insert(hash, stays);
    index.insert(hash, goes);
    index.erase(hash, goes);
    EXPECT_EQ(index.find(hash, "goes"), Slab::kNone) << "tag " << tag;
    EXPECT_EQ(index.find(hash, "stays"), stays) << "tag " << tag;
  }
}

// The slots of a bucket are compared eight at a time; a match in one must not show in another.
TEST(HashIndex, only_slots_of_the_same_tag_are_looked_at) {
  Entries entries;
  HashIndex index(entries, 0);
  std::vector<Ref> refs;
  for (int i = 0; i < 8; ++i) {
    refs.push_back(entries.make("key", {"", ""}));
    index.insert(tagged(i % 2 == 0 ? 2 : 3), refs.back());
  }
  EXPECT_EQ(index.find(tagged(3), "key"), refs[1]);
  EXPECT_EQ(index.find(tagged(2), "key"), refs[0]);
  EXPECT_EQ(index.find(tagged(4), "key"), Slab::kNone);
}

}  // namespace
}  // namespace quorate::service
