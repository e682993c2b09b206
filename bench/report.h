// SPDX-License-Identifier: Apache-2.0
// Report: the one form of every bench: a table for people and a JSON file for tools.
//
//   {"machine": {...}, "rows": [{"id", "what", "value", "unit", "bar", "better", "ok"}]}
//
// A row's `ok` says whether its bar was reached in this run. Absolute figures of a noisy machine
// say little, so rows are ratios to a peer or to the machine's own limit measured in the same run
// wherever that can be.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace quorate::bench {

enum class Better { kHigher, kLower };

struct Row {
  std::string id;
  std::string what;
  double value = 0;
  std::string unit;
  double bar = 0;
  Better better = Better::kHigher;
  std::string note;  // percentiles, CPU, whatever explains the figure; not judged

  [[nodiscard]] bool ok() const { return better == Better::kHigher ? value >= bar : value <= bar; }
};

struct Arguments {
  std::string name;
  bool quick = false;     // ends within 40 seconds
  std::string json;       // file to write; empty: none
  std::string only;       // run just the row with this id
  std::string directory;  // where data goes; empty: under the current directory
};

class Report {
 public:
  explicit Report(std::string name) : name_(std::move(name)) {}
  // Facts of the machine and the run: model, cores, fdatasync of this run, where clients ran.
  void fact(const std::string& name, const std::string& value);
  // Adds the row and prints it at once, so that a long run shows how far it is.
  void add(Row row);
  void header() const;
  [[nodiscard]] std::string to_json() const;
  [[nodiscard]] bool write_json(const std::string& path) const;
  [[nodiscard]] const std::vector<Row>& rows() const { return rows_; }

 private:
  std::string name_;
  std::vector<std::pair<std::string, std::string>> facts_;
  std::vector<Row> rows_;
};

// Model, cores, memory, kernel: what a reader needs to place the figures.
void describe_machine(Report& report);

// What every bench does around its rows: a directory of its own, which goes when the bench is over,
// what it is about, the machine, and the JSON. `run` has to print the header before its first row,
// after facts of its own. The exit code.
int run_bench(const Arguments& arguments, const char* about,
              const std::function<void(Report& report, const std::string& directory)>& run);

}  // namespace quorate::bench
