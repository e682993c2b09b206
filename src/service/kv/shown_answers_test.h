// SPDX-License-Identifier: Apache-2.0
// For tests: the machine's answers as a transcript shows them.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "base/time.h"
#include "service/kv/answers.h"
#include "service/value/ordered.h"

namespace quorate::service::kv {

class ShownAnswers {
 public:
  // Ends are shown as the time from here on.
  explicit ShownAnswers(Stamp now) : now_(now) {}

  std::string text_of(const Answer& answer) const {
    return std::visit([this](const auto& fields) { return show_one(fields); }, answer);
  }

 private:
  static std::string text(uint64_t number) { return std::to_string(number); }

  static std::string seconds(Duration duration) {
    const int64_t millis = duration.millis();
    return millis % 1'000 == 0 ? std::to_string(millis / 1'000) + "s"
                               : std::to_string(millis) + "ms";
  }

  std::string ends(Stamp expires) const {
    return expires == Stamp::never() ? "" : " ends in " + seconds(expires - now_);
  }
  std::string show(const Item& item) const {
    if (!item.found()) {
      return "-";
    }
    return (item.key.empty() ? "" : std::string(item.key) + " = ") + std::string(item.value) +
           " (version " + text(item.version) + ", created " + text(item.created.value()) +
           ", modified " + text(item.modified.value()) + ")" + ends(item.expires);
  }
  std::string previous(const Item& item) const { return item.found() ? ", was " + show(item) : ""; }

  std::string show_one(const Status& status) const { return status.to_string(); }
  std::string show_one(const Found& found) const { return show(found.item); }
  std::string show_one(const Written& written) const {
    return "revision " + text(written.revision.value()) + ", version " + text(written.version) +
           ", " + text(written.value_bytes) + " bytes" + previous(written.previous);
  }
  std::string show_one(const Removed& removed) const {
    return "removed " + text(removed.count) + ", revision " + text(removed.revision.value()) +
           (removed.more ? ", more are left" : "") + previous(removed.previous);
  }
  std::string show_one(const Touched& touched) const {
    return "touched " + text(touched.count) + ends(touched.expires);
  }
  std::string show_one(const Counted& counted) const {
    return std::to_string(counted.value) + " (revision " + text(counted.revision.value()) +
           ", version " + text(counted.version) + ")";
  }
  std::string show_one(const Hashed& hashed) const {
    std::string shown = std::to_string(hashed.number);
    shown += hashed.revision.none() ? "" : " (revision " + text(hashed.revision.value()) + ")";
    for (const Hashed::Entry& entry : hashed.entries) {
      shown += " " + (entry.name.empty() ? "" : std::string(entry.name) + "=") +
               (entry.is_there ? std::string(entry.value) : "-");
    }
    return shown;
  }
  std::string show_one(const Stored& stored) const {
    return "stored " + text(stored.count) + ", revision " + text(stored.revision.value());
  }
  std::string show_one(const Items& items) const { return show_items(items.items); }
  std::string show_items(const std::vector<Item>& items) const {
    std::string lines;
    for (const Item& item : items) {
      lines += show(item) + "\n";
    }
    return lines;
  }
  std::string show_one(const Page& page) const {
    return show_items(page.items) +
           (page.resume.empty() ? "end" : "more behind " + std::string(page.resume));
  }
  std::string show_one(const Hits& hits) const {
    std::string lines;
    for (const Hit& hit : hits.hits) {
      lines += std::string(hit.item.key) +
               (hit.item.value.empty() ? "" : " = " + std::string(hit.item.value)) + "\n";
    }
    return lines +
           (hits.resume.empty()
                ? "end"
                : "more behind " + std::string(hits.resume.substr(ordered_size(hits.resume))));
  }
  std::string show_one(const IndexList& list) const {
    static const char* const kStages[] = {"building", "ready", "clearing", "failed", "dropping"};
    std::string lines;
    for (const IndexList::Index& index : list.indexes) {
      lines += std::string(index.name) + " on " + std::string(index.path) +
               (index.unique ? ", unique" : "") + ": " + kStages[static_cast<int>(index.stage)] +
               ", " + text(index.entries) + " entries" +
               (index.cursor.empty() ? "" : ", at " + std::string(index.cursor)) + "\n";
    }
    return lines + text(list.indexes.size()) + " indexes";
  }
  std::string show_one(const TxnDone& done) const {
    std::string lines = done.held ? "held\n" : "did not hold\n";
    for (const OpAnswer& answer : done.answers) {
      lines += "  " + std::visit([&](const auto& it) { return show_one(it); }, answer) + "\n";
    }
    return lines;
  }
  std::string show_one(const Rated& rated) const {
    return (rated.allowed ? "allowed, " : "refused, ") + text(rated.tokens_left) + " left" +
           (rated.allowed ? "" : ", retry after " + seconds(rated.retry_after)) + ", full after " +
           seconds(rated.full_after);
  }
  std::string show_one(const ChangeList& list) const {
    static const char* const kKinds[] = {"put", "delete", "expire"};
    std::string lines;
    for (const Change& change : list.changes) {
      lines += text(change.revision.value()) + " " + kKinds[static_cast<int>(change.kind)] + " " +
               std::string(change.key);
      lines += change.kind == Change::Kind::kPut
                   ? " = " + std::string(change.value) + " (version " + text(change.version) + ")"
                   : "";
      lines += change.had_previous ? ", was " + std::string(change.previous) : "";
      lines += "\n";
    }
    return lines + "through " + text(list.through.value()) + " of " + text(list.revision.value());
  }
  std::string show_one(const Trailed& trailed) const {
    static const char* const kKinds[] = {"put",    "delete", "expire", "touch",
                                         "settle", "drop",   "index",  "unindex"};
    std::string lines;
    for (const Trailed::Entry& entry : trailed.entries) {
      const Change& change = entry.change;
      lines += text(change.revision.value()) + " at " + seconds(entry.at - Stamp()) + " " +
               text(entry.keyspace.value()) + " " + kKinds[static_cast<int>(change.kind)] + " " +
               std::string(change.key);
      lines += change.value.empty() ? "" : " = " + std::string(change.value);
      lines += change.version == 0 ? "" : " (version " + text(change.version) + ")";
      lines +=
          entry.expires == Stamp::never() ? "" : " ends at " + seconds(entry.expires - Stamp());
      lines += "\n";
    }
    return lines + "through " + text(trailed.through.value()) + " of " +
           text(trailed.revision.value()) + " at " + seconds(trailed.at - Stamp());
  }
  std::string show_one(const Usage& usage) const {
    return text(usage.keys) + " keys, " + text(usage.bytes) + " bytes, " + text(usage.expiring) +
           " ending, revision " + text(usage.revision.value()) + ", history after " +
           text(usage.history_begin.value()) +
           (usage.saved_bytes == 0 ? "" : ", saved " + text(usage.saved_bytes));
  }
  std::string show_one(const Dumped& dumped) const {
    std::string lines;
    for (const Dumped::Entry& entry : dumped.entries) {
      lines += text(entry.keyspace.value()) + " " + std::string(entry.key) + " = " +
               show(entry.item) + "\n";
    }
    const bool is_complete = dumped.is_done && dumped.since == dumped.revision;
    return lines + (is_complete ? "complete" : "more") + " at " + text(dumped.since.value());
  }
  std::string show_one(const Settled& settled) const {
    return settled.steps == 0 ? "as it was" : "done in " + text(settled.steps);
  }
  std::string show_one(const Expired& expired) const { return "expired " + text(expired.count); }

  const Stamp now_;
};

}  // namespace quorate::service::kv
