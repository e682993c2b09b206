// SPDX-License-Identifier: Apache-2.0
#include "bench/report.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>

namespace quorate::bench {
namespace {

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
    }
    if (static_cast<unsigned char>(c) >= 0x20) {
      out += c;
    }
  }
  return out + "\"";
}

std::string number(double value) {
  char text[64];
  if (!std::isfinite(value)) {
    return "null";
  }
  std::snprintf(text, sizeof(text), std::fabs(value) >= 1000 ? "%.0f" : "%.4g", value);
  return text;
}

std::string processor_model() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) {
      return line.substr(line.find(':') + 2);
    }
  }
  return "unknown";
}

}  // namespace

void Report::fact(const std::string& name, const std::string& value) {
  facts_.emplace_back(name, value);
  std::printf("  %-24s %s\n", name.c_str(), value.c_str());
}

void Report::header() const {
  std::printf("\n%-18s %14s %-10s %14s  %-4s %s\n", "id", "value", "unit", "bar", "ok", "what");
}

void Report::add(Row row) {
  const char* sign = row.better == Better::kHigher ? ">=" : "<=";
  std::printf("%-18s %14s %-10s %3s %10s  %-4s %s%s%s\n", row.id.c_str(), number(row.value).c_str(),
              row.unit.c_str(), sign, number(row.bar).c_str(), row.ok() ? "yes" : "NO",
              row.what.c_str(), row.note.empty() ? "" : "; ", row.note.c_str());
  std::fflush(stdout);
  rows_.push_back(std::move(row));
}

std::string Report::to_json() const {
  std::string out = "{\"bench\": " + quoted(name_) + ", \"machine\": {";
  for (size_t i = 0; i < facts_.size(); ++i) {
    out += (i == 0 ? "" : ", ") + quoted(facts_[i].first) + ": " + quoted(facts_[i].second);
  }
  out += "}, \"rows\": [";
  for (size_t i = 0; i < rows_.size(); ++i) {
    const Row& row = rows_[i];
    out += (i == 0 ? "\n" : ",\n");
    out += "  {\"id\": " + quoted(row.id) + ", \"what\": " + quoted(row.what) +
           ", \"value\": " + number(row.value) + ", \"unit\": " + quoted(row.unit) +
           ", \"bar\": " + number(row.bar) +
           ", \"better\": " + (row.better == Better::kHigher ? "\"higher\"" : "\"lower\"") +
           ", \"ok\": " + (row.ok() ? "true" : "false") + ", \"note\": " + quoted(row.note) + "}";
  }
  return out + "\n]}\n";
}

bool Report::write_json(const std::string& path) const {
  std::ofstream file(path);
  file << to_json();
  return static_cast<bool>(file.flush());
}

void describe_machine(Report& report) {
  utsname name{};
  uname(&name);
  report.fact("processor", processor_model());
  report.fact("cores", std::to_string(sysconf(_SC_NPROCESSORS_ONLN)));
  const double pages = static_cast<double>(sysconf(_SC_PHYS_PAGES));
  report.fact("memory_gib",
              number(pages * static_cast<double>(sysconf(_SC_PAGE_SIZE)) / (1 << 30)));
  report.fact("kernel", std::string(name.sysname) + " " + name.release);
}

int run_bench(const Arguments& arguments, const char* about,
              const std::function<void(Report& report, const std::string& directory)>& run) {
  namespace fs = std::filesystem;
  const fs::path root =
      arguments.directory.empty() ? fs::path("bench-data") : fs::path(arguments.directory);
  const fs::path directory = fs::absolute(root) / (arguments.name + "-" + std::to_string(getpid()));
  fs::create_directories(directory);
  Report report(arguments.name);
  std::printf("bench %s: %s\n", arguments.name.c_str(), about);
  describe_machine(report);
  run(report, directory.string());
  fs::remove_all(directory);
  if (!arguments.json.empty() && !report.write_json(arguments.json)) {
    std::fprintf(stderr, "bench: cannot write %s\n", arguments.json.c_str());
    return 1;
  }
  return 0;
}

}  // namespace quorate::bench
