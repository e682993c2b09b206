// SPDX-License-Identifier: Apache-2.0
// Feature flags: read by every request, from the copy that this process has anyway, in a
// microsecond; changed by people, none of whom may undo what another has just done.
//   feature_flags [DIRECTORY]
#include <thread>

#include "clients/cpp/examples/example.h"

using quorate::Database;
using quorate::Duration;

namespace {

class Flags {
 public:
  explicit Flags(Database& database) : database_(database) {}

  // For requests: this node's copy, at most a moment old.
  bool is_on(const std::string& name) {
    const auto entry = database_.get("flag:" + name, {.level = quorate::ReadLevel::kEventual});
    return entry.ok() && entry->value == "on";
  }
  struct Seen {
    bool on = false;
    uint64_t version = 0;
  };
  // For people: the newest, and its version.
  Seen look(const std::string& name) {
    const auto entry = database_.get("flag:" + name);
    return entry.ok() ? Seen{entry->value == "on", entry->version} : Seen{};
  }
  // False if somebody changed it since it was seen.
  bool set(const std::string& name, bool on, const Seen& seen) {
    quorate::PutOptions options;
    options.if_absent = seen.version == 0;
    options.if_version = seen.version;
    return database_.put("flag:" + name, on ? "on" : "off", options).ok();
  }

 private:
  Database& database_;
};

}  // namespace

int main(int count, char** arguments) {
  const example::Cluster cluster = example::open_cluster(count, arguments);
  Flags here(*cluster.front());
  Flags there(*cluster.back());

  example::check(!there.is_on("new-checkout"), "a flag that was never set is off");
  const Flags::Seen seen = here.look("new-checkout");
  example::check(here.set("new-checkout", true, seen), "turned on");
  example::check(!there.set("new-checkout", false, seen), "what one saw is not what there is now");
  example::check(there.look("new-checkout").on, "a linearizable read sees it at once");
  for (int tries = 0; !there.is_on("new-checkout"); ++tries) {
    example::check(tries < 10'000, "the copy hears of it soon");
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  example::check(there.set("new-checkout", false, there.look("new-checkout")), "turned off");
  std::cout << "feature flags: ok\n";
  return 0;
}
