// SPDX-License-Identifier: Apache-2.0
// A store inside a program: three replicas in one process, a write, a read, one that expires.
//   embedded [DIRECTORY]
#include <quorate/database.h>

#include <iostream>

int main(int count, char** arguments) {
  const std::string directory = count > 1 ? arguments[1] : "example-data";
  auto cluster = quorate::Database::open_cluster({.directory = directory}, 3);
  if (!cluster.ok()) {
    std::cerr << cluster.status().to_string() << "\n";
    return 1;
  }
  quorate::Database& database = *cluster->front();
  if (const quorate::Status status = database.wait_ready(quorate::Duration::seconds(20));
      !status.ok()) {
    std::cerr << status.to_string() << "\n";
    return 1;
  }

  const auto written = database.put("greeting", "hello");
  const auto session =
      database.put("session:42", "anna", {.ttl = quorate::Duration::seconds(1800)});
  const auto many = database.put_many({{"a", "1"}, {"b", "2"}, {"c", "3"}});
  if (!written.ok() || !session.ok() || !many.ok()) {
    std::cerr << written.status().to_string() << "\n";
    return 1;
  }
  // Read from another replica; linearizable all the same.
  const auto entry = cluster->back()->get("greeting");
  std::cout << "greeting = " << (entry.ok() ? entry->value : entry.status().to_string()) << "\n";
  return entry.ok() && entry->value == "hello" ? 0 : 1;
}
