// SPDX-License-Identifier: Apache-2.0
#include "edge/http/wire/credentials.h"

#include <gtest/gtest.h>

namespace quorate::edge::http {
namespace {

TEST(credentials, are_a_token_or_a_user_and_a_password) {
  const struct {
    std::string_view header;
    std::string_view user;
    std::string_view secret;
  } kRows[] = {
      {"", "", ""},
      {"Bearer abc", "", "abc"},
      {"bearer   abc", "", "abc"},
      {"Basic YWRhOnMzY3I6ZXQ=", "ada", "s3cr:et"},
      {"BASIC YWRhOg==", "ada", ""},
  };
  for (const auto& row : kRows) {
    const Result<Credentials> got = read_credentials(row.header);
    ASSERT_TRUE(got.ok()) << row.header;
    EXPECT_EQ(got->user, row.user) << row.header;
    EXPECT_EQ(got->secret, row.secret) << row.header;
  }
}

TEST(credentials, anything_else_is_refused) {
  for (const std::string_view header :
       {"Bearer", "Bearer ", "Digest x", "Basic !!!", "Basic YWRh", "Basic OnNlY3JldA==", "x"}) {
    EXPECT_EQ(read_credentials(header).status().code(), Code::kUnauthenticated) << header;
  }
}

}  // namespace
}  // namespace quorate::edge::http
