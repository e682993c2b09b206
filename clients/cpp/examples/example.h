// SPDX-License-Identifier: Apache-2.0
// What the examples share: three replicas in one process, and a way to give up.
#pragma once

#include <quorate/database.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

namespace example {

using Cluster = std::vector<std::unique_ptr<quorate::Database>>;

// The value, or the end of the program with the reason.
template <class T>
T must(quorate::Result<T> result, const char* what) {
  if (!result.ok()) {
    std::cerr << what << ": " << result.status().to_string() << "\n";
    std::exit(1);
  }
  return std::move(*result);
}

inline void check(bool holds, const char* what) {
  if (!holds) {
    std::cerr << "not as it should be: " << what << "\n";
    std::exit(1);
  }
}

// Of this run, so that what an earlier one has left in the directory is not in its way.
inline std::string fresh(const std::string& name) {
  return name + "-" + std::to_string(std::chrono::system_clock::now().time_since_epoch().count());
}

inline Cluster open_cluster(int count, char** arguments) {
  const std::string directory = count > 1 ? arguments[1] : "example-data";
  Cluster cluster = must(quorate::Database::open_cluster({.directory = directory}, 3), "open");
  for (const auto& node : cluster) {
    const quorate::Status ready = node->wait_ready(quorate::Duration::seconds(30));
    check(ready.ok(), "every node becomes ready");
  }
  return cluster;
}

}  // namespace example
