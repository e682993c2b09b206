// SPDX-License-Identifier: Apache-2.0
#include "server/access/start_files.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "server/access/certificates.h"

namespace quorate::server {
namespace {

class Files : public testing::Test {
 protected:
  // Tests run beside each other: each has a directory of its own.
  Files() : folder_(testing::TempDir() + "/quorate-files-XXXXXX") {
    EXPECT_NE(mkdtemp(folder_.data()), nullptr);
    EXPECT_TRUE(ensure_authority(folder_).ok());
    for (const char* name : {"node-1", "node-2"}) {
      EXPECT_TRUE(make_certificate(folder_, {name, name, {"localhost"}, true}).ok());
    }
    std::ofstream(folder_ + "/token") << std::string(40, 'x') << "\n";
    std::filesystem::permissions(folder_ + "/token", std::filesystem::perms::owner_read);
  }
  ~Files() override { std::filesystem::remove_all(folder_); }

  [[nodiscard]] StartFiles whole() const {
    return {folder_ + "/new/data", folder_ + "/ca.pem", folder_ + "/node-1.pem",
            folder_ + "/node-1.key", folder_ + "/token"};
  }

  std::string folder_;
};

TEST_F(Files, what_a_server_would_start_with_is_right) {
  EXPECT_EQ(check_files(whole()).message(), "");
  EXPECT_TRUE(check_files({.data = folder_}).ok());
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/new")) << "a check makes nothing";
}

TEST_F(Files, each_that_is_wrong_is_named) {
  StartFiles files = whole();
  files.key = folder_ + "/node-2.key";
  EXPECT_NE(check_files(files).message().find("tls: "), std::string::npos);
  files = whole();
  files.certificate = folder_ + "/none.pem";
  EXPECT_NE(check_files(files).message().find("/none.pem"), std::string::npos);
  files = whole();
  files.root_token = folder_ + "/ca.pem";
  EXPECT_NE(check_files(files).message().find("may be read by others"), std::string::npos);
  files = whole();
  files.data = folder_ + "/token/data";
  EXPECT_NE(check_files(files).message().find("is no directory"), std::string::npos);
}

TEST_F(Files, all_that_is_wrong_is_told_at_once) {
  StartFiles files = whole();
  files.data = folder_ + "/token";
  files.authority = folder_ + "/none.pem";
  files.root_token = folder_ + "/none";
  const std::string message = check_files(files).message();
  EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), 2) << message;
}

}  // namespace
}  // namespace quorate::server
