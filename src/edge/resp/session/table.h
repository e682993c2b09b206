// SPDX-License-Identifier: Apache-2.0
// Table: all commands by name, with what is counted of each.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/metrics.h"
#include "edge/resp/session/command.h"

namespace quorate::edge::resp {

class Table {
 public:
  struct Entry {
    const Row* row = nullptr;
    const Row* parent = nullptr;  // of a subcommand
    std::string name;             // "client|id" of a subcommand
    uint64_t calls = 0;
    uint64_t rejected = 0;  // by their arity, or because they were not allowed
    Counter* calls_total = nullptr;
    Histogram* seconds = nullptr;  // from arrival to answer, of those that had to wait
    std::vector<Entry*> subcommands;
  };

  using Families = std::span<const std::span<const Row>>;

  // `metrics` may be null. No name is in two families.
  Table(Families families, Metrics* metrics);
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;

  // In any case. Null: there is no such command.
  [[nodiscard]] Entry* find(std::string_view name);
  // The row that is meant, of a subcommand too; else null, and what Redis says to that.
  [[nodiscard]] Entry* find(Arguments arguments, std::string& error);
  void forget_counts();
  // All commands that stand alone, by name.
  [[nodiscard]] const std::vector<Entry*>& commands() const { return commands_; }

 private:
  Entry& add(const Row& row, const Row* parent);

  Metrics* const metrics_;
  std::deque<Entry> entries_;
  std::vector<Entry*> commands_;
  std::unordered_map<std::string_view, Entry*> by_name_;
};

}  // namespace quorate::edge::resp
