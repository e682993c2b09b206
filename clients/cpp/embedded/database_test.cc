// SPDX-License-Identifier: Apache-2.0
// Nodes inside this process: alone, restarted, three together, with HTTP.
#include "quorate/database.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "clients/cpp/http_client.h"
#include "service/kv/api.h"

namespace quorate {
namespace {

class Embedded : public testing::Test {
 protected:
  Embedded() {
    directory_ = testing::TempDir() + "/embedded_" +
                 testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(directory_);
  }
  ~Embedded() override { std::filesystem::remove_all(directory_); }

  std::unique_ptr<Database> open(bool http = false) {
    Result<std::unique_ptr<Database>> opened =
        Database::open({.directory = directory_, .http = http});
    EXPECT_TRUE(opened.ok()) << opened.status().to_string();
    std::unique_ptr<Database> database = std::move(*opened);
    EXPECT_EQ(database->wait_ready(Duration::seconds(60)), Status());
    return database;
  }

  std::string directory_;
};

TEST_F(Embedded, what_was_put_is_there_after_a_restart) {
  {
    const std::unique_ptr<Database> database = open();
    EXPECT_EQ(database->put("greeting", "hello")->version, 1u);
    EXPECT_EQ(*database->put_many({{"a", "1"}, {"b", "2"}}), 2u);
    EXPECT_EQ(*database->remove("a"), 1u);
    EXPECT_EQ(database->get("greeting")->value, "hello");
  }
  const std::unique_ptr<Database> database = open();
  EXPECT_EQ(database->get("greeting")->value, "hello");
  EXPECT_EQ(database->get("b")->value, "2");
  EXPECT_EQ(database->get("a").status().code(), Code::kNotFound);
}

TEST_F(Embedded, conditions_keys_and_expiry_hold) {
  const std::unique_ptr<Database> database = open();
  EXPECT_TRUE(database->put("k", "1", {.if_absent = true}).ok());
  EXPECT_EQ(database->put("k", "2", {.if_absent = true}).status().code(), Code::kAlreadyExists);
  EXPECT_EQ(database->put("k", "2", {.if_version = 9}).status().code(), Code::kPreconditionFailed);
  const PutOptions once = {.idempotency_key = "one"};
  EXPECT_EQ(database->put("k", "3", once)->version, 2u);
  EXPECT_EQ(database->put("k", "3", once)->version, 2u) << "the same write, not a second one";
  EXPECT_EQ(*database->touch("k", Duration::millis(1)), 1u);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(database->get("k").status().code(), Code::kNotFound);
  EXPECT_EQ(database->put("", "x").status().code(), Code::kInvalidArgument);
}

TEST_F(Embedded, the_loop_takes_many_writes_without_a_thread_switch_each) {
  const std::unique_ptr<Database> database = open();
  std::promise<void> all;
  int left = 1'000;
  database->run_on_loop([&](service::kv::Api& api) {
    for (int i = 0; i < 1'000; ++i) {
      const std::string key = "k" + std::to_string(i);
      service::kv::Put put;
      put.key = key;
      put.value = "v";
      api.write(put, {},
                [&](const Status& status, const service::kv::Written&, const service::Origin&) {
                  EXPECT_TRUE(status.ok());
                  if (--left == 0) {
                    all.set_value();
                  }
                });
    }
  });
  EXPECT_EQ(all.get_future().wait_for(std::chrono::seconds(60)), std::future_status::ready);
  EXPECT_TRUE(database->get("k999").ok());
}

TEST_F(Embedded, three_nodes_replicate_and_one_may_go) {
  Result<std::vector<std::unique_ptr<Database>>> opened =
      Database::open_cluster({.directory = directory_}, 3);
  ASSERT_TRUE(opened.ok()) << opened.status().to_string();
  std::vector<std::unique_ptr<Database>>& nodes = *opened;
  for (const std::unique_ptr<Database>& node : nodes) {
    ASSERT_EQ(node->wait_ready(Duration::seconds(60)), Status());
  }
  EXPECT_TRUE(nodes[0]->put("k", "v").ok());
  EXPECT_EQ(nodes[1]->get("k")->value, "v");
  EXPECT_EQ(nodes[2]->get("k", {.level = ReadLevel::kFollower})->value, "v");
  nodes[0].reset();
  EXPECT_EQ(nodes[1]->get("k")->value, "v");
  EXPECT_TRUE(nodes[2]->put("k", "w", {.idempotency_key = "w"}).ok());
}

TEST_F(Embedded, the_http_client_reaches_it_too) {
  const std::unique_ptr<Database> database = open(true);
  client::HttpClient http(
      {.nodes = {"127.0.0.1:1", "127.0.0.1:" + std::to_string(database->http_port())}});
  const Result<client::Answer> put = http.call({.method = "PUT",
                                                .target = "/v1/kv/a%2Fb",
                                                .body = std::string("\0x", 2),
                                                .headers = {{"Idempotency-Key", "1"}},
                                                .idempotent = true});
  ASSERT_TRUE(put.ok()) << put.status().to_string();
  EXPECT_GT(put->tries, 1) << "the first node of the list is not there";
  EXPECT_EQ(database->get("a/b")->value, std::string("\0x", 2));
  const Result<client::Answer> none = http.call({.target = "/v1/kv/none", .idempotent = true});
  EXPECT_EQ(none.status().code(), Code::kNotFound);
}

TEST_F(Embedded, a_wrong_setting_or_a_taken_directory_is_told) {
  EXPECT_EQ(Database::open({.directory = directory_, .settings = {{"storage.snyc", "x"}}})
                .status()
                .code(),
            Code::kInvalidArgument);
  const std::unique_ptr<Database> database = open();
  EXPECT_FALSE(Database::open({.directory = directory_}).ok());
}

}  // namespace
}  // namespace quorate
