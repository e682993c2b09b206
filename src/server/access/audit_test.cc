// SPDX-License-Identifier: Apache-2.0
#include "server/access/audit.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "os/clock.h"

namespace quorate::server {
namespace {

class AuditTest : public testing::Test {
 protected:
  AuditTest() {
    char name[] = "/tmp/quorate-audit-XXXXXX";
    directory_ = ::mkdtemp(name);
  }
  ~AuditTest() override { std::filesystem::remove_all(directory_); }

  std::unique_ptr<Audit> open() {
    auto audit = Audit::open(clock_, directory_, 7);
    EXPECT_TRUE(audit.ok());
    return audit.ok() ? std::move(*audit) : nullptr;
  }
  std::string text() const {
    std::ifstream file(directory_ + "/audit.log", std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void store(const std::string& text) const {
    std::ofstream(directory_ + "/audit.log", std::ios::binary) << text;
  }
  // Three lines, over two lives of the process.
  void fill() {
    open()->note({"ada", "127.0.0.1:1", "PUT /access/users/bob", "200"});
    const auto audit = open();
    audit->note({"", "127.0.0.1:2", "GET /v1/kv/\"a\"\n\xff", "401"});
    audit->note({"bob", "127.0.0.1:3", "DELETE /cluster/nodes/1", "403"});
  }

  os::Clock clock_;
  std::string directory_;
};

TEST_F(AuditTest, lines_are_chained_over_restarts) {
  fill();
  const auto report = verify_audit(text());
  ASSERT_TRUE(report.ok()) << report.status().message();
  EXPECT_EQ(report->first, 1u);
  EXPECT_EQ(report->last, 3u);
  EXPECT_EQ(report->chain, open()->chain());
}

TEST_F(AuditTest, any_changed_byte_shows) {
  fill();
  const std::string good = text();
  for (size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    EXPECT_FALSE(verify_audit(bad).ok()) << "byte " << at;
  }
}

TEST_F(AuditTest, a_line_taken_out_or_moved_shows) {
  fill();
  const std::string good = text();
  const size_t first = good.find('\n') + 1;
  const size_t second = good.find('\n', first) + 1;
  const std::string without = good.substr(0, first) + good.substr(second);
  const std::string swapped =
      good.substr(first, second - first) + good.substr(0, first) + good.substr(second);
  EXPECT_FALSE(verify_audit(without).ok());
  EXPECT_FALSE(verify_audit(swapped).ok());
  EXPECT_TRUE(verify_audit(good.substr(0, second)).ok()) << "a cut end is not seen by itself";
}

TEST_F(AuditTest, a_half_written_line_is_dropped_at_open) {
  fill();
  store(text() + "{\"line\":4,\"at");
  open()->note({"ada", "", "again", "200"});
  const auto report = verify_audit(text());
  ASSERT_TRUE(report.ok()) << report.status().message();
  EXPECT_EQ(report->last, 4u);
}

TEST_F(AuditTest, a_file_that_is_no_audit_log_is_not_added_to) {
  store("what is this\n");
  EXPECT_EQ(Audit::open(clock_, directory_, 7).status().code(), Code::kCorrupted);
  EXPECT_EQ(text(), "what is this\n");
}

TEST_F(AuditTest, a_flood_is_counted_and_not_written) {
  const auto audit = open();
  for (int i = 0; i < 5'000; ++i) {
    audit->note({"", "127.0.0.1:9", "GET /", "401"});
  }
  audit->sync();
  EXPECT_LT(audit->lines(), 1'000u);
  EXPECT_NE(text().find("more were not written down"), std::string::npos);
  EXPECT_TRUE(verify_audit(text()).ok());
}

}  // namespace
}  // namespace quorate::server
