// SPDX-License-Identifier: Apache-2.0
// Applying: committed entries become state, and their proposers get their answers.
#include <algorithm>

#include "node/group.h"

namespace quorate::node {
namespace {

// Peers answer within some round trips if they can.
constexpr Duration kRepairPatience = Duration::seconds(1);

// Of a payload, ahead of its turn: where it is longer, it keeps the processor busy by itself.
constexpr size_t kPayloadAheadBytes = 128;

// Hands each command's answer to whoever waits for it.
class ToProposers final : public service::AnswerSink {
 public:
  ToProposers(Proposals& proposals, const service::Origin& origin)
      : proposals_(proposals), origin_(origin) {}
  void on_answer(size_t ordinal, const Status& status, std::string_view answer) override {
    ++count_;
    proposals_.answer(ordinal, status, answer, origin_);
  }
  [[nodiscard]] size_t count() const { return count_; }

 private:
  Proposals& proposals_;
  const service::Origin origin_;
  size_t count_ = 0;
};

}  // namespace

void Group::fetch_ahead(int step) {
  if (step == 0) {
    service::fetch_ahead(this, sizeof(*this));
    return;
  }
  if (step == 1) {
    raft_.prefetch();
  }
  if (applied_ >= commit_) {
    return;
  }
  // Where the entry stands is known from step 2 on, what it says when that was fetched.
  const raft::Entry* const entry = step == 1 ? nullptr : raft_.entry_at(applied_.next());
  std::string_view payload;
  if (step == 2) {
    service::fetch_ahead(entry);
  } else if (entry != nullptr) {
    payload = entry->payload.view();
  }
  if (step == 3) {
    service::fetch_ahead(payload.data(), std::min(payload.size(), kPayloadAheadBytes));
  }
  fetch_hint_ = machine_->prefetch(step - 1, payload, fetch_hint_);
}

bool Group::apply(Instant now) {
  if (installer_.busy()) {
    return false;
  }
  if (witness_) {
    applied_ = commit_;
    raft_.on_applied(applied_);
    return false;
  }
  const Index before = applied_;
  size_t bytes = 0;
  while (applied_ < commit_ && bytes < shell_.options.apply_step_bytes) {
    const raft::Entry* entry = raft_.entry_at(applied_.next());
    if (entry == nullptr) {
      const size_t read = apply_from_log(commit_, now);
      if (read == 0) {
        break;
      }
      bytes += read;
      continue;
    }
    // The callbacks below may reach raft again; the entry's payload must not move meanwhile.
    const raft::Entry held = *entry;
    apply_entry(held);
    bytes += held.payload.size() + 1;
  }
  if (applied_ != before) {
    due_known_ = false;
    due_again_ = Instant();
    raft_.on_applied(applied_);
    tell_news(now);
  }
  if (applied_ >= round_end_) {
    leave_round();
  }
  return applied_ < commit_ && bytes >= shell_.options.apply_step_bytes;
}

// Who waits at another node hears of it from the replica there, as soon as it applies this.
void Group::tell_news(Instant now) {
  const uint64_t news = machine_->news();
  if (news != news_) {
    news_ = news;
    raft_.tell_commit(now);
  }
}

size_t Group::apply_from_log(Index last, Instant now) {
  constexpr size_t kReadBytes = 1024 * 1024;
  ++shell_.counters.log_reads;
  const Result<std::vector<wal::Record>> records =
      shell_.wal().read(id_, applied_.next(), last, kReadBytes);
  if (!records.ok()) {
    // Raft fetches the entry from a peer, and apply goes on from there.
    on_unreadable(applied_.next(), records.status(), now);
    return 0;
  }
  size_t bytes = 0;
  for (const wal::Record& record : *records) {
    apply_entry({record.index, record.term, static_cast<raft::EntryKind>(record.kind), record.at,
                 record.payload});
    bytes += record.payload.size() + 1;
  }
  return bytes;
}

void Group::apply_entry(const raft::Entry& entry) {
  ASSERT(entry.index == applied_.next(), "entries are applied in order, each once");
  stamp_ = std::max(stamp_, entry.at);
  applied_ = entry.index;
  ++shell_.counters.entries_applied;
  const service::Moment moment{stamp_, entry.index};
  const bool ours = proposals_.begin_apply(entry.index, entry.term);
  if (proposals_.has_displaced()) {
    take_back_displaced();
  }
  if (entry.kind == raft::EntryKind::kCommand) {
    ToProposers sink(proposals_, origin({}));
    const Status status = machine_->apply(entry.payload.view(), moment, ours ? &sink : nullptr);
    // Every copy of an entry is checksummed: what cannot be read here was written by a newer
    // version, and a replica that skipped it would differ from the others for ever.
    ASSERT(status.ok(), status.message().c_str());
    shell_.counters.commands_applied += sink.count();
  }
  if (due_index_ <= applied_) {
    due_index_ = Index();
  }
  if (ours) {
    proposals_.finish();
    if (!leads() && !proposals_.outcome_open()) {
      shell_.outcome_known(id_);
    }
  }
}

void Group::take_back_displaced() {
  proposals_.give_back_displaced(
      [this](const service::BatchCommand& command, service::Done done, Instant deadline) {
        ++shell_.counters.displaced;
        shell_.take_back(id_, command, std::move(done), {deadline, true});
      });
  shell_.outcome_known(id_);
}

// An entry that is applied and cannot be read any more is still in the machine: a snapshot takes
// the place of the log through it. The peers' copies of the entry are cheaper and come first.
bool Group::hole_stays(Instant now) {
  const Index hole = raft_.first_hole();
  if (hole.none() || hole > applied_) {
    hole_seen_ = Instant::never();
    return false;
  }
  hole_seen_ = std::min(hole_seen_, now);
  return now - hole_seen_ >= kRepairPatience;
}

void Group::maybe_snapshot(Instant now) {
  taker_.release_log();
  if (witness_ || taker_.busy() || installer_.busy() || applied_ < commit_) {
    return;
  }
  if (hole_stays(now)) {
    taker_.start();
    return;
  }
  const uint64_t bytes = shell_.wal().bytes_of(id_);
  if (bytes < shell_.options.snapshot_log_bytes ||
      bytes < machine_->memory_bytes() / 100 * shell_.options.snapshot_machine_percent) {
    return;
  }
  taker_.start();
}

}  // namespace quorate::node
