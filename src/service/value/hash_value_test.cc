// SPDX-License-Identifier: Apache-2.0
#include "service/value/hash_value.h"

#include <gtest/gtest.h>

#include <utility>

#include "base/prng.h"

namespace quorate::service {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

Fields fields_of(std::string_view image) {
  Fields fields;
  HashReader reader(image);
  for (HashField field; reader.next(field);) {
    fields.emplace_back(field.name, field.value);
  }
  EXPECT_EQ(reader.size(), fields.size());
  return fields;
}

std::string image_of(const std::vector<HashField>& fields) {
  std::string image;
  EXPECT_EQ(put_hash_fields({}, fields, image), fields.size());
  return image;
}

TEST(hash_value, fields_stay_in_the_order_in_which_they_came) {
  const std::string image = image_of({{"b", "1"}, {"a", "2"}, {"", ""}});
  EXPECT_TRUE(is_hash(image));
  EXPECT_TRUE(is_hash_image(image));
  EXPECT_EQ(fields_of(image), (Fields{{"b", "1"}, {"a", "2"}, {"", ""}}));
  EXPECT_EQ(find_hash_field(image, "a"), "2");
  EXPECT_EQ(find_hash_field(image, ""), "");
  EXPECT_EQ(find_hash_field(image, "c"), std::nullopt);
  EXPECT_EQ(hash_size(""), 0u);
  EXPECT_EQ(find_hash_field("", "a"), std::nullopt);
}

TEST(hash_value, a_put_keeps_places_and_counts_what_is_new) {
  const std::string image = image_of({{"a", "1"}, {"b", "2"}, {"c", "3"}});
  std::string out;
  EXPECT_EQ(put_hash_fields(image, {{"d", "x"}, {"b", "longer than it was"}, {"d", "y"}}, out), 1u);
  EXPECT_EQ(fields_of(out),
            (Fields{{"a", "1"}, {"b", "longer than it was"}, {"c", "3"}, {"d", "y"}}));
  EXPECT_TRUE(is_hash_image(out));
}

TEST(hash_value, the_last_field_that_goes_leaves_nothing) {
  const std::string image = image_of({{"a", "1"}, {"b", "2"}, {"c", "3"}});
  std::string out;
  EXPECT_EQ(erase_hash_fields(image, {"b", "x", "b"}, out), 1u);
  EXPECT_EQ(fields_of(out), (Fields{{"a", "1"}, {"c", "3"}}));
  EXPECT_TRUE(is_hash_image(out));
  const std::string rest = out;
  EXPECT_EQ(erase_hash_fields(rest, {"c", "a"}, out), 2u);
  EXPECT_EQ(out, "");
}

TEST(hash_value, changes_do_what_a_list_of_pairs_does) {
  Prng prng(7);
  std::string image;
  Fields model;
  for (int step = 0; step < 3'000; ++step) {
    const std::string name(1 + prng.below(2), static_cast<char>('a' + prng.below(12)));
    const std::string value(prng.below(200), 'v');
    const auto at = std::find_if(model.begin(), model.end(),
                                 [&](const auto& pair) { return pair.first == name; });
    std::string out;
    if (prng.below(3) == 0) {
      EXPECT_EQ(erase_hash_fields(image, {name}, out), at == model.end() ? 0u : 1u);
      if (at != model.end()) {
        model.erase(at);
      }
    } else {
      EXPECT_EQ(put_hash_fields(image, {{name, value}}, out), at == model.end() ? 1u : 0u);
      at == model.end() ? model.push_back({name, value}) : void(at->second = value);
    }
    image = out;
    ASSERT_EQ(fields_of(image), model);
    ASSERT_TRUE(model.empty() || is_hash_image(image));
  }
}

TEST(hash_value, damaged_and_invented_images_are_none) {
  const std::string image = image_of({{"a", "1"}, {"b", "22"}});
  for (size_t size = 0; size < image.size(); ++size) {
    EXPECT_FALSE(is_hash_image(image.substr(0, size))) << size;
  }
  EXPECT_FALSE(is_hash_image(image + "x"));
  std::string twice = image;
  twice[twice.find('b')] = 'a';
  EXPECT_FALSE(is_hash_image(twice)) << "a name stands twice";
  std::string many = image;
  many[kHashMark.size() + 3] = '\x7f';
  EXPECT_FALSE(is_hash_image(many)) << "more fields than bytes";
  Prng prng(11);
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes(kHashMark);
    for (uint64_t left = prng.below(40); left > 0; --left) {
      bytes.push_back(static_cast<char>(prng.below(4) == 0 ? prng.below(256) : prng.below(3)));
    }
    if (is_hash_image(bytes)) {
      EXPECT_EQ(fields_of(bytes).size(), hash_size(bytes));
    }
  }
}

}  // namespace
}  // namespace quorate::service
