// SPDX-License-Identifier: Apache-2.0
#include "server/access/secrets.h"

#include <gtest/gtest.h>

#include "server/access/gate.h"

namespace quorate::server {
namespace {

TEST(secrets, a_password_fits_its_own_hash_only) {
  const Result<std::string> hash = hash_password("correct horse");
  ASSERT_TRUE(hash.ok());
  EXPECT_TRUE(password_matches("correct horse", *hash));
  EXPECT_FALSE(password_matches("correct hors", *hash));
  EXPECT_FALSE(password_matches("", *hash));
  EXPECT_NE(*hash, *hash_password("correct horse")) << "each has a salt of its own";
}

TEST(secrets, a_hash_that_cannot_be_read_fits_nothing) {
  for (const std::string_view hash :
       {"", "scrypt", "scrypt$14$8$1$AA==$AA==", "scrypt$99$8$1$AAAA$AAAA", "md5$1$1$1$AA==$AA==",
        "scrypt$14$8$1$!$!", "scrypt$-1$8$1$AA==$AA=="}) {
    EXPECT_FALSE(password_matches("x", hash)) << hash;
  }
}

TEST(secrets, known_answers) {
  EXPECT_EQ(hex(sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_TRUE(equal_in_constant_time("ab", "ab"));
  EXPECT_FALSE(equal_in_constant_time("ab", "ac"));
  EXPECT_FALSE(equal_in_constant_time("ab", "abc"));
}

TEST(secrets, a_token_holds_its_name_and_its_secret) {
  const std::string token = make_token("build_bot", "00ff");
  const auto parts = parse_token(token);
  ASSERT_TRUE(parts.has_value());
  EXPECT_EQ(parts->name, "build_bot");
  EXPECT_EQ(parts->secret, "00ff");
  for (const std::string_view wrong : {"", "qt_", "qt_x", "qt__x", "x_y_z"}) {
    EXPECT_FALSE(parse_token(wrong).has_value()) << wrong;
  }
}

}  // namespace
}  // namespace quorate::server
