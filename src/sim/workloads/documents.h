// SPDX-License-Identifier: Apache-2.0
// Documents: clients of the store that keep JSON texts under indexes, and one that watches them.
//
// All keys are of one keyspace in one group. Each document has an owner, whom several share, and a
// badge, which an index keeps unique; the index of owners is dropped and built anew now and then.
// What is checked, at any node and with any kind of read:
//
//   entries     whatever an index gives has the value by which it was found
//   complete    an index and a scan of one revision have the same documents, in order of values
//   unique      no two documents have one badge
//   watch       revisions grow; each write that was answered is seen once, with what it wrote, or
//               the watcher was told that its place is gone (compacted)
//   no way back a linearizable read has reached every revision that was answered before it began
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "service/kv/api.h"
#include "sim/cluster.h"

namespace quorate::sim {

class Documents {
 public:
  explicit Documents(Cluster& cluster);

  void start();
  // No new writes; reads go on until idle(), of an index that is declared if it has to be.
  void stop() { stopped_ = true; }
  // Healed, an index was compared with a scan and the watcher has caught up.
  [[nodiscard]] bool idle() const;
  [[nodiscard]] std::string unfinished() const;
  // "" or what was wrong first.
  [[nodiscard]] const std::string& complaint() const { return complaint_; }

 private:
  using Document = std::pair<std::string, std::string>;  // key, value
  struct Client {
    uint32_t number = 0;
    uint64_t step = 0;  // grows: answers to earlier ones are not heard
  };
  // An index and a scan that were asked for at once.
  struct Comparison {
    std::string index;
    Revision least;  // what a linearizable read has to have reached
    bool failed = false;
    int answers_left = 2;
    Revision found_at;
    Revision scanned_at;
    std::vector<std::string> found;  // ordered value and key
    std::vector<Document> scanned;
  };

  void rest(Client& client);
  void begin(Client& client);
  void write(Client& client, LockDoor& via);
  void declare(Client& client, LockDoor& via);
  void look_at_building();
  void compare(Client& client, LockDoor& via);
  void take_hits(Comparison& comparison, const Status& status, const service::kv::Hits& hits);
  void take_page(Comparison& comparison, const Status& status, const service::kv::Page& page);
  void end_comparison(const Comparison& comparison);
  void check_unique(const Comparison& comparison);
  void watch(Client& client, LockDoor& via);
  void on_changes(const service::ReadMode& mode, const Status& status,
                  const service::kv::ChangeList& list);
  void look_for_lost(Revision from, Revision through);
  void start_watch_anew(Client& client, LockDoor& via);
  void note_written(Revision revision, const Document& document);
  void next(Client& client, uint64_t step);
  [[nodiscard]] service::ReadMode any_mode();
  [[nodiscard]] LockDoor* any_door();
  void complain(const std::string& text);

  Cluster& cluster_;
  World& world_;
  Prng prng_;
  std::vector<Client> clients_;
  // Of the answered writes; without a value: deleted.
  std::map<Revision, Document> written_;
  std::map<Revision, Document> seen_;  // by the watcher
  Revision newest_;                    // that was answered
  Revision begun_;                     // the watch began here, or anew
  Revision watched_;
  bool watch_is_lost_ = false;  // compacted: a new place has to be asked for
  bool stopped_ = false;
  bool compared_ = false;  // since stop()
  std::string complaint_;
};

}  // namespace quorate::sim
