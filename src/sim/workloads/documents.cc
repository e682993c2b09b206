// SPDX-License-Identifier: Apache-2.0
#include "sim/workloads/documents.h"

#include <algorithm>
#include <memory>

#include "service/value/json_field.h"
#include "service/value/ordered.h"

namespace quorate::sim {
namespace {

namespace kv = service::kv;

constexpr kv::KeyspaceId kSpace{7};
constexpr GroupId kHome{1};
constexpr Duration kTimeout = Duration::seconds(1);
constexpr Duration kPatience = Duration::millis(1'500);  // a process may die with its question
constexpr uint64_t kKeys = 16;
constexpr uint64_t kOwners = 4;
constexpr uint64_t kBadges = 12;
constexpr uint64_t kChangesPerPage = 3;
constexpr const char* kOwner = "owner";
constexpr const char* kBadge = "badge";

std::string ordered_of(std::string_view value, std::string_view field) {
  std::string ordered;
  (void)service::append_ordered(service::find_field(value, field), ordered);
  return ordered;
}

}  // namespace

Documents::Documents(Cluster& cluster)
    : cluster_(cluster),
      world_(cluster.world()),
      prng_(cluster.plan().document_clients == 0 ? Prng(1) : world_.fork_prng()),
      clients_(cluster.plan().document_clients) {
  for (uint32_t i = 0; i < clients_.size(); ++i) {
    clients_[i].number = i;
  }
}

void Documents::start() {
  for (Client& client : clients_) {
    rest(client);
  }
}

void Documents::rest(Client& client) {
  const uint64_t step = ++client.step;
  // The watcher sleeps long now and then: its place may be gone when it wakes.
  const bool sleeps = client.number == 0 && !stopped_ && prng_.chance(1, 30);
  const Duration most = sleeps ? Duration::seconds(4) : cluster_.plan().think * 2;
  world_.after(Duration::nanos(prng_.between(0, most.nanos())), [this, &client, step] {
    if (client.step == step) {
      begin(client);
    }
  });
}

void Documents::next(Client& client, uint64_t step) {
  if (client.step == step) {
    rest(client);
  }
}

LockDoor* Documents::any_door() {
  const NodeId node = cluster_.any_door(prng_);
  LockDoor* const door =
      cluster_.running(node) && !cluster_.is_paused(node) ? cluster_.locks(node) : nullptr;
  if (door != nullptr) {
    door->kv().define(kSpace, {kHome});
  }
  return door;
}

void Documents::begin(Client& client) {
  if (stopped_ && idle() && client.number != 0) {  // a late answer may be behind the watcher
    return;
  }
  const uint64_t step = ++client.step;
  world_.after(kPatience, [this, &client, step] { next(client, step); });
  LockDoor* const via = any_door();
  if (via == nullptr) {
    rest(client);
  } else if (client.number == 0) {
    watch_is_lost_ ? start_watch_anew(client, *via) : watch(client, *via);
  } else if (prng_.chance(1, 16)) {
    declare(client, *via);
  } else if (stopped_ || prng_.chance(1, 3)) {
    compare(client, *via);
  } else {
    write(client, *via);
  }
}

service::ReadMode Documents::any_mode() {
  service::ReadMode mode;
  switch (prng_.below(4)) {
    case 0: mode.consistency = service::Consistency::kFollower; break;
    case 1: mode.consistency = service::Consistency::kEventual; break;
    default: break;
  }
  return mode;
}

// ---- writing -----------------------------------------------------------------------------------

void Documents::write(Client& client, LockDoor& via) {
  const std::string key = "d" + std::to_string(prng_.below(kKeys));
  const uint64_t step = client.step;
  if (prng_.chance(1, 5)) {
    via.kv().write(kv::Delete{.keyspace = kSpace, .key = key}, {.timeout = kTimeout},
                   [this, &client, step, key](const Status& status, const kv::Removed& removed,
                                              const service::Origin&) {
                     if (status.ok() && removed.count == 1) {
                       note_written(removed.revision, {key, ""});
                     }
                     next(client, step);
                   });
    return;
  }
  std::string value = R"({"owner":"o)" + std::to_string(prng_.below(kOwners)) + R"(","badge":)" +
                      std::to_string(prng_.below(kBadges));
  if (prng_.chance(1, 6)) {  // long enough to be kept compressed
    value += R"(,"text":")" + std::string(1'500, 'x') + '"';
  }
  value += '}';
  via.kv().write(kv::Put{.keyspace = kSpace, .key = key, .value = value}, {.timeout = kTimeout},
                 [this, &client, step, document = Document(key, value)](
                     const Status& status, const kv::Written& written, const service::Origin&) {
                   if (status.ok()) {
                     note_written(written.revision, document);
                   } else if (status.code() == Code::kAlreadyExists) {
                     world_.count("document_not_unique");
                   }
                   next(client, step);
                 });
}

void Documents::note_written(Revision revision, const Document& document) {
  world_.count("document_written");
  newest_ = std::max(newest_, revision);
  if (revision <= begun_) {
    return;  // behind what the watch was told to be gone
  }
  written_[revision] = document;
  if (revision <= watched_) {
    look_for_lost(Revision(revision.value() - 1), revision);
  }
}

void Documents::declare(Client& client, LockDoor& via) {
  const uint64_t step = client.step;
  auto done = [this, &client, step](const Status& status, const kv::Settled& settled,
                                    const service::Origin&) {
    if (status.ok() && settled.steps != 0) {
      world_.count("index_declared");
      look_at_building();
    }
    next(client, step);
  };
  if (!stopped_ && prng_.chance(1, 3)) {
    via.kv().drop_index({.keyspace = kSpace, .index = kOwner}, {.timeout = kTimeout}, done);
  } else if (prng_.chance(1, 2)) {
    via.kv().create_index({.keyspace = kSpace, .index = kOwner, .path = kOwner},
                          {.timeout = kTimeout}, done);
  } else {
    via.kv().create_index({.keyspace = kSpace, .index = kBadge, .path = kBadge, .unique = true},
                          {.timeout = kTimeout}, done);
  }
}

// Others write meanwhile, so an index that is seen half built is one that is built under writes.
void Documents::look_at_building() {
  LockDoor* const via = any_door();
  if (via == nullptr) {
    return;
  }
  via->kv().indexes({.keyspace = kSpace}, {.timeout = kTimeout},
                    [this](const Status& status, const kv::IndexList& list,
                           const service::Origin&) {
                      for (const kv::IndexList::Index& index : list.indexes) {
                        if (status.ok() && index.stage == kv::IndexStage::kBuilding) {
                          world_.count("index_seen_building");
                        }
                      }
                    });
}

// ---- what an index gives -----------------------------------------------------------------------

void Documents::compare(Client& client, LockDoor& via) {
  const service::ReadMode mode = any_mode();
  auto comparison = std::make_shared<Comparison>();
  comparison->index = prng_.chance(1, 2) ? kOwner : kBadge;
  comparison->least = mode.consistency == service::Consistency::kEventual ? Revision() : newest_;
  const uint64_t step = client.step;
  const auto end = [this, &client, step](Comparison& both) {
    if (--both.answers_left == 0) {
      end_comparison(both);
      next(client, step);
    }
  };
  // Asked for in one turn, so mostly of one revision.
  via.kv().find(
      {.keyspace = kSpace, .index = comparison->index}, {.mode = mode, .timeout = kTimeout},
      [this, comparison, end](const Status& status, const kv::Hits& hits, const service::Origin&) {
        take_hits(*comparison, status, hits);
        end(*comparison);
      });
  via.kv().scan(
      {.keyspace = kSpace}, {.mode = mode, .timeout = kTimeout},
      [this, comparison, end](const Status& status, const kv::Page& page, const service::Origin&) {
        take_page(*comparison, status, page);
        end(*comparison);
      });
}

void Documents::take_hits(Comparison& comparison, const Status& status, const kv::Hits& hits) {
  comparison.failed = comparison.failed || !status.ok() || !hits.resume.empty();
  comparison.found_at = hits.revision;
  for (const kv::Hit& hit : hits.hits) {
    const std::string key(hit.item.key);
    const std::string place = ordered_of(hit.item.value, comparison.index) + key;
    comparison.found.push_back(place);
    if (hit.place != place) {
      complain("the index " + comparison.index + " gives " + key +
               " by a value that it has not: " + std::string(hit.item.value.substr(0, 40)));
    }
  }
}

void Documents::take_page(Comparison& comparison, const Status& status, const kv::Page& page) {
  comparison.failed = comparison.failed || !status.ok() || !page.resume.empty();
  comparison.scanned_at = page.revision;
  for (const kv::Item& item : page.items) {
    comparison.scanned.emplace_back(item.key, item.value);
  }
}

void Documents::end_comparison(const Comparison& comparison) {
  if (comparison.failed) {
    return;
  }
  if (std::min(comparison.found_at, comparison.scanned_at) < comparison.least) {
    complain("a read at revision " + std::to_string(comparison.scanned_at.value()) +
             " began after revision " + std::to_string(comparison.least.value()) + " was answered");
  }
  check_unique(comparison);
  if (comparison.found_at != comparison.scanned_at) {
    return;
  }
  std::vector<std::string> expected;
  for (const Document& document : comparison.scanned) {
    expected.push_back(ordered_of(document.second, comparison.index) + document.first);
  }
  std::sort(expected.begin(), expected.end());
  if (comparison.found != expected) {
    complain("at revision " + std::to_string(comparison.found_at.value()) + " the index " +
             comparison.index + " has " + std::to_string(comparison.found.size()) +
             " documents that are not the " + std::to_string(expected.size()) + " of a scan");
  }
  world_.count("index_compared");
  compared_ = compared_ || stopped_;
}

// An index of badges that answers is ready, and from then on keeps them unique.
void Documents::check_unique(const Comparison& comparison) {
  if (comparison.index != kBadge || comparison.found_at != comparison.scanned_at) {
    return;
  }
  std::set<std::string> badges;
  for (const Document& document : comparison.scanned) {
    if (!badges.insert(ordered_of(document.second, kBadge)).second) {
      complain("the badge of " + document.first + " is that of another too");
    }
  }
}

// ---- the watch ---------------------------------------------------------------------------------

void Documents::watch(Client& client, LockDoor& via) {
  const service::ReadMode mode = any_mode();
  const uint64_t step = client.step;
  via.kv().changes(kHome, {.keyspace = kSpace, .after = watched_, .limit = kChangesPerPage},
                   {.mode = mode, .timeout = kTimeout},
                   [this, &client, step, mode](const Status& status, const kv::ChangeList& list,
                                               const service::Origin&) {
                     if (client.step == step) {
                       on_changes(mode, status, list);
                       rest(client);
                     }
                   });
}

void Documents::on_changes(const service::ReadMode& mode, const Status& status,
                           const kv::ChangeList& list) {
  if (status.code() == Code::kPreconditionFailed) {
    world_.count("watch_compacted");
    watch_is_lost_ = true;
  }
  if (status.code() == Code::kInvalidArgument &&
      mode.consistency != service::Consistency::kEventual) {
    complain("revision " + std::to_string(watched_.value()) + " was seen, and is gone");
  }
  if (!status.ok()) {
    return;
  }
  Revision last = watched_;
  for (const kv::Change& change : list.changes) {
    if (change.revision <= last || change.revision > list.through) {
      complain("a watch goes from revision " + std::to_string(last.value()) + " to " +
               std::to_string(change.revision.value()));
    }
    last = change.revision;
    seen_[change.revision] = {std::string(change.key), std::string(change.value)};
    world_.count("watch_change");
  }
  const Revision from = watched_;
  watched_ = std::max(watched_, list.through);
  look_for_lost(from, watched_);
}

// What was written behind `from` and up to `through` was seen, and as it was written.
void Documents::look_for_lost(Revision from, Revision through) {
  for (auto write = written_.upper_bound(from); write != written_.end() && write->first <= through;
       ++write) {
    const auto seen = seen_.find(write->first);
    if (seen == seen_.end() || seen->second != write->second) {
      complain("the watch " + std::string(seen == seen_.end() ? "missed" : "saw another") +
               " write of " + write->second.first + " at revision " +
               std::to_string(write->first.value()));
    }
  }
}

// From the newest revision on; what lies between is lost to it, as it was told.
void Documents::start_watch_anew(Client& client, LockDoor& via) {
  const uint64_t step = client.step;
  via.kv().stats_of(
      kHome, {.keyspace = kSpace}, {.timeout = kTimeout},
      [this, &client, step](const Status& status, const kv::Usage& usage, const service::Origin&) {
        if (client.step != step) {
          return;
        }
        if (status.ok()) {
          watch_is_lost_ = false;
          watched_ = usage.revision;
          written_.erase(written_.begin(), written_.upper_bound(watched_));
          begun_ = watched_;
        }
        rest(client);
      });
}

// ---- the end -----------------------------------------------------------------------------------

bool Documents::idle() const {
  return clients_.empty() || (compared_ && !watch_is_lost_ && watched_ >= newest_);
}

std::string Documents::unfinished() const {
  return std::string(compared_ ? "" : "no index could be compared; ") +
         "the watch is at revision " + std::to_string(watched_.value()) + " of " +
         std::to_string(newest_.value());
}

void Documents::complain(const std::string& text) {
  if (complaint_.empty()) {
    complaint_ = text;
    world_.trace(NodeId(), "COMPLAINT " + text);
    world_.stop();
  }
}

}  // namespace quorate::sim
