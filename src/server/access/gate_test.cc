// SPDX-License-Identifier: Apache-2.0
// What the grants of the catalogue become for a caller.
#include "server/access/gate.h"

#include <gtest/gtest.h>

#include "service/meta/state.h"

namespace quorate::server {
namespace {

namespace meta = service::meta;

constexpr auto kKv = static_cast<uint8_t>(service::ServiceId::kKv);

CallerRef caller_in(const std::string& scope) {
  meta::Principal ada;
  ada.name = "ada";
  meta::Grant grant;
  grant.service = service::ServiceId::kKv;
  grant.scope = scope;
  grant.prefix = "app/";
  grant.rights = rights::kRead;
  ada.grants = {grant};
  return caller_of(ada, meta::State());
}

TEST(Gate, the_default_scope_may_be_named_or_left_out) {
  for (const char* scope : {"", "default"}) {
    const CallerRef ada = caller_in(scope);
    EXPECT_TRUE(ada->may(rights::kRead, {kKv, Caller::kDefaultScope}, "app/1")) << scope;
    EXPECT_FALSE(ada->may(rights::kRead, {kKv, 1}, "app/1")) << scope;
    EXPECT_FALSE(ada->may(rights::kRead, {kKv, Caller::kDefaultScope}, "other")) << scope;
  }
}

TEST(Gate, a_scope_that_does_not_exist_grants_nothing) {
  const CallerRef ada = caller_in("orders");
  EXPECT_FALSE(ada->may(rights::kRead, {kKv, Caller::kDefaultScope}, "app/1"));
  EXPECT_FALSE(ada->may(rights::kRead, {kKv, 1}, "app/1"));
}

TEST(Gate, a_star_is_every_scope) {
  const CallerRef ada = caller_in("*");
  EXPECT_TRUE(ada->may(rights::kRead, {kKv, Caller::kDefaultScope}, "app/1"));
  EXPECT_TRUE(ada->may(rights::kRead, {kKv, 7}, "app/1"));
}

}  // namespace
}  // namespace quorate::server
