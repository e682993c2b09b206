// SPDX-License-Identifier: Apache-2.0
// What is restored of an archive: made of files by hand, cut, damaged and missing.
#include "cli/backup/plan.h"

#include <gtest/gtest.h>
#include <unistd.h>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "cli/requests.h"

namespace quorate::cli {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

class PlanOfArchive : public ::testing::Test {
 protected:
  PlanOfArchive()
      : directory_(fs::temp_directory_path() /
                   ("quorate_plan_test_" + std::to_string(::getpid()))) {
    fs::remove_all(directory_);
    fs::create_directories(directory_);
  }
  ~PlanOfArchive() override { fs::remove_all(directory_); }

  std::string path(const std::string& name) const { return (directory_ / name).string(); }

  // Blocks as "P {...}".
  void base(const std::string& name, const std::vector<std::string>& blocks) {
    Result<BackupWriter> file = BackupWriter::open(path(name));
    ASSERT_TRUE(file.ok());
    for (const std::string& block : blocks) {
      ASSERT_TRUE(file->write(static_cast<BlockKind>(block[0]), block.substr(2)).ok());
    }
    ASSERT_TRUE(file->finish().ok());
  }
  void changes(const std::string& name, const std::vector<std::string>& blocks) {
    Result<ChangeWriter> file = ChangeWriter::open(path(name));
    ASSERT_TRUE(file.ok());
    for (const std::string& block : blocks) {
      ASSERT_TRUE(file->write(static_cast<BlockKind>(block[0]), block.substr(2)).ok());
    }
    ASSERT_TRUE(file->sync().ok());
  }

  // Two groups at 1 s, of revisions 10 and 20; then changes of both, in two files.
  void write_archive() {
    base("base-00000001.qb",
         {R"(H {"format":1,"cluster":"c","groups":2})", R"(G {"group":1})",
          R"(P {"group":1,"entries":[{"keyspace":0,"key":"a","value":"1","version":1}]})",
          R"(C {"group":1,"revision":10,"at_ms":1000})", R"(G {"group":2})",
          R"(P {"group":2,"entries":[{"keyspace":0,"key":"b","value":"1","version":1}]})",
          R"(C {"group":2,"revision":20,"at_ms":1000})",
          R"(K {"name":"default","id":0,"revision":1,"partitions":null})",
          R"(I {"keyspace":0,"index":"ages","field":"age","unique":false})",
          R"(E {"entries":2,"at_ms":1000})"});
    changes("changes-00000002.ql",
            {R"(H {"format":1,"cluster":"c","groups":[{"group":1,"revision":10},{"group":2,)"
             R"("revision":20}]})",
             R"(K {"name":"default","id":0,"revision":1,"partitions":null})",
             R"(L {"group":1,"after":10,"through":12,"to_ms":2000,"changes":[)"
             R"({"type":"put","keyspace":0,"revision":11,"at_ms":1500,"key":"a","value":"2",)"
             R"("version":2},)"
             R"({"type":"touch","keyspace":0,"revision":12,"at_ms":1700,"key":"a","version":2,)"
             R"("expires_at_ms":9000}]})",
             R"(T {"groups":[{"group":1,"revision":12,"to_ms":2500},{"group":2,"revision":20,)"
             R"("to_ms":2500}]})"});
    changes("changes-00000003.ql",
            {R"(H {"format":1,"cluster":"c","groups":[{"group":1,"revision":12},{"group":2,)"
             R"("revision":20}]})",
             R"(K {"name":"orders","id":3,"revision":1,"partitions":1})",
             R"(L {"group":2,"after":20,"through":24,"to_ms":3500,"changes":[)"
             R"({"type":"settle","keyspace":3,"revision":21,"at_ms":3000,"settings":1},)"
             R"({"type":"put","keyspace":3,"revision":22,"at_ms":3100,"key":"o","value":"1",)"
             R"("version":1},)"
             R"({"type":"delete","keyspace":0,"revision":23,"at_ms":3200,"key":"b"},)"
             R"({"type":"unindex","keyspace":0,"revision":24,"at_ms":3300,"index":"ages"}]})",
             R"(L {"group":1,"after":12,"through":13,"to_ms":3500,"changes":[)"
             R"({"type":"put","keyspace":0,"revision":13,"at_ms":3400,"key":"a","value":"3",)"
             R"("version":3}]})"});
  }

  Result<Plan> plan(const std::string& at, std::optional<std::string> keyspace = {}) const {
    Plan::Wishes wishes{.moment = {}, .keyspace = std::move(keyspace)};
    if (!at.empty()) {
      const Result<Moment> moment = parse_moment(at);
      RETURN_IF_ERROR(moment);
      wishes.moment = *moment;
    }
    return Plan::make(directory_.string(), wishes);
  }

  // "KEYSPACE:KEY=VALUE@END", in the order of the keys; then keyspaces and indexes.
  static std::string text(const Plan& plan) {
    std::map<std::string, std::string> found;
    const Status read = plan.replay([&](uint64_t keyspace, const json::object& entry) {
      const std::string key = std::to_string(keyspace) + ":" + get_bytes(entry, "key");
      if (entry.contains("gone")) {
        found.erase(key);
        return Status::success();
      }
      const uint64_t end = get_number(entry, "expires_at_ms");
      found[key] = get_bytes(entry, "value") + (end == 0 ? "" : "@" + std::to_string(end));
      return Status::success();
    });
    std::string text = read.ok() ? "" : read.to_string();
    for (const auto& [key, value] : found) {
      text += key + "=" + value + " ";
    }
    for (const json::object& keyspace : plan.keyspaces()) {
      text += get_bytes(keyspace, "name") + " ";
    }
    for (const Plan::IndexWish& index : plan.indexes()) {
      text += get_bytes(index.body, "index") + " ";
    }
    return text;
  }
  std::string text(const std::string& at) const {
    const Result<Plan> made = plan(at);
    return made.ok() ? text(*made) : std::string(row_of(made.status().code()).name);
  }

  std::string read(const std::string& name) const {
    std::ifstream file(path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }
  void write(const std::string& name, const std::string& bytes) const {
    std::ofstream(path(name), std::ios::binary) << bytes;
  }

  fs::path directory_;
};

TEST_F(PlanOfArchive, each_moment_is_as_it_was) {
  write_archive();
  EXPECT_EQ(text("@1"), "0:a=1 0:b=1 default ages ");
  EXPECT_EQ(text("@1.499"), "0:a=1 0:b=1 default ages ");
  EXPECT_EQ(text("@1.5"), "0:a=2 0:b=1 default ages ");
  EXPECT_EQ(text("@1.7"), "0:a=2@9000 0:b=1 default ages ");
  EXPECT_EQ(text("@2.9"), "0:a=2@9000 0:b=1 default ages ");
  EXPECT_EQ(text("@3.1"), "0:a=2@9000 0:b=1 3:o=1 default orders ages ");
  EXPECT_EQ(text("@3.3"), "0:a=2@9000 3:o=1 default orders ");
  EXPECT_EQ(text("@3.5"), "0:a=3 3:o=1 default orders ");
  EXPECT_EQ(text(""), "0:a=3 3:o=1 default orders ");
  EXPECT_EQ(text("1:11,2:23"), "0:a=2 3:o=1 default orders ages ");
  EXPECT_EQ(text("1:13,2:20"), "0:a=3 0:b=1 default ages ");
}

TEST_F(PlanOfArchive, a_moment_outside_is_refused) {
  write_archive();
  EXPECT_EQ(text("@0.999"), "precondition_failed") << "before the base";
  EXPECT_EQ(text("@3.501"), "precondition_failed") << "behind what is known";
  EXPECT_EQ(text("1:9,2:20"), "precondition_failed");
  EXPECT_EQ(text("1:14,2:20"), "precondition_failed");
  EXPECT_EQ(text("1:11"), "invalid_argument") << "nothing is said of the other group";
  EXPECT_EQ(text("11"), "invalid_argument") << "of which group?";
}

TEST_F(PlanOfArchive, one_keyspace_needs_the_groups_that_it_is_in) {
  write_archive();
  EXPECT_EQ(text(*plan("2:22", "orders")), "3:o=1 orders ");
  EXPECT_EQ(plan("1:11", "orders").status().code(), Code::kInvalidArgument);
  EXPECT_EQ(plan("@2", "orders").status().code(), Code::kNotFound) << "it was not there yet";
}

TEST_F(PlanOfArchive, a_missing_file_ends_what_can_be_restored) {
  write_archive();
  fs::remove(path("changes-00000002.ql"));
  EXPECT_EQ(text("@1"), "0:a=1 0:b=1 default ages ");
  EXPECT_EQ(text("@1.5"), "corrupted");
  EXPECT_EQ(text(""), "corrupted");
  EXPECT_EQ(text("1:10,2:22"), "0:a=1 0:b=1 3:o=1 default orders ages ") << "group 2 has no gap";
}

TEST_F(PlanOfArchive, damage_anywhere_is_told_unless_nothing_needs_what_lies_behind) {
  write_archive();
  const std::string whole = read("changes-00000002.ql");
  const size_t times = whole.find(R"({"groups")") - 1 - 4 - 4;
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 4);
    write("changes-00000002.ql", damaged);
    const Result<Plan> newest = plan("");
    if (newest.ok()) {  // the block of times is not needed: later blocks say more
      EXPECT_GE(at, times) << at;
      EXPECT_EQ(text(*newest), "0:a=3 3:o=1 default orders ") << at;
    } else {
      EXPECT_EQ(newest.status().code(), Code::kCorrupted) << at;
      EXPECT_NE(newest.status().message().find("changes-00000002.ql"), std::string::npos) << at;
    }
    EXPECT_EQ(text("@1"), "0:a=1 0:b=1 default ages ") << at;
  }
}

TEST_F(PlanOfArchive, a_file_that_was_cut_off_is_made_up_for_by_the_next_one) {
  write_archive();
  const std::string whole = read("changes-00000003.ql");
  const std::string expected = text("");
  // What an archiver writes that is started again: its file begins where the cut one ended.
  changes("changes-00000004.ql",
          {R"(H {"format":1,"cluster":"c","groups":[{"group":1,"revision":12},{"group":2,)"
           R"("revision":20}]})",
           R"(K {"name":"orders","id":3,"revision":1,"partitions":1})",
           R"(L {"group":2,"after":20,"through":24,"to_ms":3600,"changes":[)"
           R"({"type":"settle","keyspace":3,"revision":21,"at_ms":3000,"settings":1},)"
           R"({"type":"put","keyspace":3,"revision":22,"at_ms":3100,"key":"o","value":"1",)"
           R"("version":1},)"
           R"({"type":"delete","keyspace":0,"revision":23,"at_ms":3200,"key":"b"},)"
           R"({"type":"unindex","keyspace":0,"revision":24,"at_ms":3300,"index":"ages"}]})",
           R"(L {"group":1,"after":12,"through":13,"to_ms":3600,"changes":[)"
           R"({"type":"put","keyspace":0,"revision":13,"at_ms":3400,"key":"a","value":"3",)"
           R"("version":3}]})"});
  for (size_t size = 0; size <= whole.size(); ++size) {
    write("changes-00000003.ql", whole.substr(0, size));
    EXPECT_EQ(text(""), expected) << size;
  }
}

TEST_F(PlanOfArchive, the_end_is_where_an_archiver_goes_on) {
  write_archive();
  const Result<Archive> archive = Archive::open(directory_.string());
  ASSERT_TRUE(archive.ok());
  const Result<Archive::End> end = archive->end();
  ASSERT_TRUE(end.ok());
  EXPECT_EQ(end->revisions, (Revisions{{1, 13}, {2, 24}}));
  EXPECT_EQ(end->cluster, "c");
  EXPECT_EQ(archive->last_number(), 3u);
  EXPECT_EQ(archive->first_after({{1, 12}, {2, 20}}), 1u);
  EXPECT_EQ(archive->first_after({{1, 11}, {2, 20}}), 0u);
}

TEST_F(PlanOfArchive, a_newer_base_is_taken_where_there_is_one) {
  write_archive();
  base("base-00000004.qb",
       {R"(H {"format":1,"cluster":"c","groups":2})", R"(G {"group":1})",
        R"(P {"group":1,"entries":[{"keyspace":0,"key":"a","value":"9","version":1}]})",
        R"(C {"group":1,"revision":40,"at_ms":9000})", R"(G {"group":2})",
        R"(C {"group":2,"revision":50,"at_ms":9000})",
        R"(K {"name":"default","id":0,"revision":1,"partitions":null})",
        R"(E {"entries":1,"at_ms":9000})"});
  EXPECT_EQ(text("@9"), "0:a=9 default ");
  EXPECT_EQ(text(""), "0:a=9 default ");
  EXPECT_EQ(text("@3.5"), "0:a=3 3:o=1 default orders ") << "of the base before";
  EXPECT_EQ(text("@5"), "precondition_failed") << "nobody looked";
}

}  // namespace
}  // namespace quorate::cli
