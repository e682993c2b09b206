// SPDX-License-Identifier: Apache-2.0
// Test support: a disk in memory that does all that a disk may do to us.
//
// What no completed sync covers may, at a crash, be kept, lost, torn at any byte, in any subset;
// names that no directory sync covers likewise. Each operation has a number, and one of them can
// be made to fail. Bits can be flipped, sectors made unreadable.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/prng.h"
#include "env/disk.h"
#include "env/timer.h"

namespace quorate::wal {

// What a crash does with each write that is not durable.
enum class Crash { kKeep, kLose, kTear };

class FaultyDisk final : public env::Disk {
 public:
  struct Node {
    std::string bytes;  // as the process sees it
    std::string durable;
    struct Write {
      uint64_t offset;
      std::string bytes;
      bool truncates = false;
    };
    std::vector<Write> unsynced;
    std::set<uint64_t> bad_sectors;  // by number, of 4096 bytes
  };
  using Names = std::map<std::string, std::shared_ptr<Node>>;

  explicit FaultyDisk(env::Timer& loop) : loop_(loop) {}

  // ---- faults -----------------------------------------------------------------------------------
  // The operation of this number (1 is the next) fails, and with `for_good` all after it.
  void fail_at(uint64_t operation, bool for_good = false) {
    fail_at_ = operations_ + operation;
    fail_for_good_ = for_good;
  }
  void fail_never() { fail_at_ = 0; }
  [[nodiscard]] uint64_t operations() const { return operations_; }
  [[nodiscard]] uint64_t syncs() const { return syncs_; }

  void crash(Crash mode, Prng& prng) {
    for (NameChange& change : changes_) {
      if (mode == Crash::kKeep || (mode == Crash::kTear && prng.chance(1, 2))) {
        change.apply(durable_names_);
      }
    }
    changes_.clear();
    for (auto& [path, node] : durable_names_) {
      settle(*node, mode, prng);
    }
    names_ = durable_names_;
    fail_never();
    ++life_;
  }
  [[nodiscard]] Names& names() { return names_; }
  [[nodiscard]] Node& node(const std::string& path) { return *names_.at(path); }
  // A bit of what is durable; the pending writes are left alone.
  void flip(const std::string& path, uint64_t byte, int bit) {
    Node& at = node(path);
    at.bytes[byte] = static_cast<char>(at.bytes[byte] ^ (1 << bit));
    at.durable = at.bytes;
  }
  void cut(const std::string& path, uint64_t size) {
    node(path).bytes.resize(size);
    node(path).durable = node(path).bytes;
  }
  // A deep copy of what is durable now.
  [[nodiscard]] std::map<std::string, std::string> image() const {
    std::map<std::string, std::string> image;
    for (const auto& [path, node] : names_) {
      image[path] = node->bytes;
    }
    return image;
  }
  void restore(const std::map<std::string, std::string>& image) {
    names_.clear();
    changes_.clear();
    for (const auto& [path, bytes] : image) {
      auto node = std::make_shared<Node>();
      node->bytes = node->durable = bytes;
      names_[path] = std::move(node);
    }
    durable_names_ = names_;
    fail_never();
    ++life_;
  }

  // ---- env::Disk ----
  Status make_directory(const std::string&) override { return count("mkdir"); }
  Result<std::vector<std::string>> list(const std::string& path) override {
    std::vector<std::string> names;
    for (const auto& [name, node] : names_) {
      if (name.starts_with(path + "/")) {
        names.push_back(name.substr(path.size() + 1));
      }
    }
    return names;
  }
  Result<std::unique_ptr<env::File>> open(const std::string& path, env::OpenMode mode) override;
  Status rename(const std::string& source, const std::string& target) override {
    RETURN_IF_ERROR(count("rename"));
    return change({source, target, nullptr});
  }
  Status remove(const std::string& path) override {
    RETURN_IF_ERROR(count("remove"));
    return change({path, "", nullptr});
  }
  Status sync_directory(const std::string&) override {
    RETURN_IF_ERROR(count("sync_directory"));
    changes_.clear();
    durable_names_ = names_;
    return Status::success();
  }
  void rename_durably(const std::string& source, const std::string& target,
                      RenameDone done) override {
    loop_.post(
        [this, life = life_, status = rename(source, target), done = std::move(done)]() mutable {
          if (life == life_) {
            done(status.ok() ? sync_directory("") : status);
          }
        });
  }

 private:
  friend class FaultyFile;
  // A node that appeared, was renamed, or went.
  struct NameChange {
    std::string source;
    std::string target;
    std::shared_ptr<Node> node;
    void apply(Names& names) const {
      if (source.empty()) {
        names[target] = node;
        return;
      }
      const auto at = names.find(source);
      if (at == names.end()) {
        return;
      }
      const std::shared_ptr<Node> moved = at->second;
      names.erase(at);
      if (!target.empty()) {
        names[target] = moved;
      }
    }
  };

  Status count(const char* what) {
    ++operations_;
    if (fail_at_ != 0 && (operations_ == fail_at_ || (fail_for_good_ && operations_ > fail_at_))) {
      return {Code::kUnavailable, std::string("injected: ") + what};
    }
    return Status::success();
  }
  Status change(NameChange change) {
    if (!change.source.empty() && !names_.contains(change.source)) {
      return {Code::kNotFound, change.source};
    }
    change.apply(names_);
    changes_.push_back(std::move(change));
    return Status::success();
  }
  static void put(std::string& bytes, uint64_t offset, std::string_view what) {
    if (bytes.size() < offset + what.size()) {
      bytes.resize(offset + what.size(), '\0');
    }
    std::copy(what.begin(), what.end(), bytes.begin() + static_cast<ptrdiff_t>(offset));
  }
  static void settle(Node& node, Crash mode, Prng& prng) {
    for (const Node::Write& write : node.unsynced) {
      std::string_view part = write.bytes;
      if (mode == Crash::kLose || (mode == Crash::kTear && prng.chance(1, 3))) {
        continue;
      }
      if (write.truncates) {
        node.durable.resize(write.offset);
        continue;
      }
      uint64_t offset = write.offset;
      if (mode == Crash::kTear && prng.chance(1, 2)) {
        // A stretch of it: any byte may be where the tear is, at either end.
        const uint64_t begin = prng.chance(1, 3) ? prng.below(part.size() + 1) : 0;
        part = part.substr(begin, prng.below(part.size() - begin + 1));
        offset += begin;
      }
      put(node.durable, offset, part);
    }
    node.unsynced.clear();
    node.bytes = node.durable;
  }
  static void sync(Node& node) {
    node.durable = node.bytes;
    node.unsynced.clear();
  }

  env::Timer& loop_;
  Names names_;
  Names durable_names_;
  std::vector<NameChange> changes_;
  uint64_t operations_ = 0;
  uint64_t syncs_ = 0;
  uint64_t fail_at_ = 0;
  bool fail_for_good_ = false;
  uint64_t life_ = 0;  // handles of a life before do nothing
};

class FaultyFile final : public env::File {
 public:
  FaultyFile(FaultyDisk& disk, std::shared_ptr<FaultyDisk::Node> node)
      : disk_(disk), node_(std::move(node)), life_(disk.life_) {}

  Result<uint64_t> size() override { return node_->bytes.size(); }
  Result<size_t> read(uint64_t offset, std::span<char> out) override {
    if (offset >= node_->bytes.size() || out.empty()) {
      return size_t{0};
    }
    const size_t size = std::min<uint64_t>(out.size(), node_->bytes.size() - offset);
    const auto bad = node_->bad_sectors.lower_bound(offset / 4096);
    if (bad != node_->bad_sectors.end() && *bad * 4096 < offset + size) {
      return Status{Code::kUnavailable, "injected: bad sector"};
    }
    std::copy_n(node_->bytes.begin() + static_cast<ptrdiff_t>(offset), size, out.begin());
    return size;
  }
  void write(uint64_t offset, std::vector<std::string_view> pieces, env::Sync sync,
             WriteDone done) override {
    std::string bytes;
    for (const std::string_view piece : pieces) {
      bytes.append(piece);
    }
    Status status = write_now(offset, bytes);
    if (status.ok() && sync == env::Sync::kData) {
      status = disk_.count("sync");
    }
    disk_.loop_.post([this, alive = std::weak_ptr<int>(alive_), sync, life = life_,
                      status = std::move(status), done = std::move(done)]() mutable {
      if (alive.expired() || life != disk_.life_) {
        return;
      }
      if (status.ok() && sync == env::Sync::kData) {
        ++disk_.syncs_;
        FaultyDisk::sync(*node_);
      }
      done(std::move(status));
    });
  }
  void write_aside(uint64_t offset, std::string bytes, env::Sync sync, WriteDone done) override {
    ASSERT(offset % kBlockBytes == 0 && bytes.size() % kBlockBytes == 0, "whole blocks");
    env::File::write_aside(offset, std::move(bytes), sync, std::move(done));
  }
  Status write_now(uint64_t offset, std::string_view bytes) override {
    Status status = disk_.count("write");
    if (!status.ok()) {
      bytes = bytes.substr(0, bytes.size() / 2);  // what a failed write has done is unknown
    }
    FaultyDisk::put(node_->bytes, offset, bytes);
    node_->unsynced.push_back({offset, std::string(bytes)});
    return status;
  }
  Status sync_now() override {
    RETURN_IF_ERROR(disk_.count("sync"));
    FaultyDisk::sync(*node_);
    return Status::success();
  }
  Status truncate(uint64_t size) override {
    RETURN_IF_ERROR(disk_.count("truncate"));
    node_->bytes.resize(size);
    node_->unsynced.push_back({size, "", true});
    return Status::success();
  }

 private:
  FaultyDisk& disk_;
  std::shared_ptr<FaultyDisk::Node> node_;
  uint64_t life_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

inline Result<std::unique_ptr<env::File>> FaultyDisk::open(const std::string& path,
                                                           env::OpenMode mode) {
  RETURN_IF_ERROR(count("open"));
  if (!names_.contains(path)) {
    if (mode != env::OpenMode::kCreate) {
      return Status{Code::kNotFound, path};
    }
    auto node = std::make_shared<Node>();
    const NameChange made{"", path, node};
    RETURN_IF_ERROR(change(made));
  }
  return std::unique_ptr<env::File>(std::make_unique<FaultyFile>(*this, names_.at(path)));
}

}  // namespace quorate::wal
