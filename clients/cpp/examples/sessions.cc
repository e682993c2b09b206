// SPDX-License-Identifier: Apache-2.0
// Sessions of a web service: made at login, kept alive by each request, gone half an hour after the
// last one, and ended everywhere at once by a logout, whichever of the servers is asked.
//   sessions [DIRECTORY]
#include <thread>

#include "clients/cpp/examples/example.h"

using quorate::Database;
using quorate::Duration;

namespace {

class Sessions {
 public:
  Sessions(Database& database, Duration lifetime) : database_(database), lifetime_(lifetime) {}

  // False if there is a session of that id already: ids are drawn by chance, so draw another.
  bool create(const std::string& id, const std::string& user) {
    const auto made = database_.put(key(id), user, {.ttl = lifetime_, .if_absent = true});
    return made.ok();
  }
  // The user, or nothing; a session that is used lives on.
  std::string user_of(const std::string& id) {
    const auto entry = database_.get(key(id));
    if (!entry.ok()) {
      return "";
    }
    example::must(database_.touch(key(id), lifetime_), "keep alive");
    return entry->value;
  }
  void end(const std::string& id) { example::must(database_.remove(key(id)), "end"); }

 private:
  static std::string key(const std::string& id) { return "session:" + id; }

  Database& database_;
  const Duration lifetime_;
};

}  // namespace

int main(int count, char** arguments) {
  const example::Cluster cluster = example::open_cluster(count, arguments);
  const Duration lifetime = Duration::seconds(3);  // half an hour, for who has the time
  Sessions here(*cluster.front(), lifetime);
  Sessions there(*cluster.back(), lifetime);

  const std::string first = example::fresh("8f3a");
  example::check(here.create(first, "ada"), "a new session");
  example::check(!there.create(first, "eve"), "nobody takes a session over");
  for (int request = 0; request < 5; ++request) {
    std::this_thread::sleep_for(std::chrono::milliseconds(750));
    example::check(there.user_of(first) == "ada", "a session that is used lives on");
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(3500));
  example::check(here.user_of(first).empty(), "a session that is not used ends");

  const std::string second = example::fresh("77b0");
  example::check(here.create(second, "bob"), "another session");
  here.end(second);
  example::check(there.user_of(second).empty(), "logged out at one server is logged out at all");
  std::cout << "sessions: ok\n";
  return 0;
}
