// SPDX-License-Identifier: Apache-2.0
#include "service/group_machine.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/codec.h"
#include "base/limits.h"
#include "base/mutant.h"
#include "base/prng.h"

namespace quorate::service {
namespace {

constexpr std::string_view kMagic = "QGM1";
constexpr uint8_t kSessionsPart = static_cast<uint8_t>(ServiceId::kNode);
constexpr uint8_t kEndMark = 0xff;
constexpr size_t kFrameHeaderBytes = sizeof(uint8_t) + sizeof(uint32_t);
constexpr size_t kEndBytes = sizeof(uint8_t) + sizeof(uint64_t);
// An answer buffer that grew beyond this is not kept for the next command.
constexpr size_t kAnswerKeptBytesMax = 1024 * 1024;

struct Part {
  uint8_t number;
  std::unique_ptr<SnapshotSource> source;
};

class GroupSource final : public SnapshotSource {
 public:
  GroupSource(std::vector<Part> parts, uint64_t digest)
      : parts_(std::move(parts)), digest_(digest) {}

  bool next(size_t bytes_target, std::string& out) override {
    const size_t end = out.size() + bytes_target;
    if (!begun_) {
      out.append(kMagic);
      begun_ = true;
    }
    while (out.size() < end && at_ < parts_.size()) {
      frame(parts_[at_], end - out.size(), out);
    }
    if (at_ == parts_.size() && !ended_) {
      Writer writer(out);
      writer.u8(kEndMark);
      writer.u64(digest_);
      ended_ = true;
    }
    return !ended_;
  }

 private:
  void frame(Part& part, size_t bytes_target, std::string& out) {
    const size_t header = out.size();
    Writer writer(out);
    writer.u8(part.number);
    writer.u32(0);
    const bool more = part.source->next(bytes_target, out);
    const auto length = static_cast<uint32_t>(out.size() - header - kFrameHeaderBytes);
    std::memcpy(out.data() + header + sizeof(uint8_t), &length, sizeof(length));
    if (length == 0) {
      out.resize(header);
    }
    if (!more) {
      part.source.reset();
      ++at_;
    }
  }

  std::vector<Part> parts_;
  const uint64_t digest_;
  size_t at_ = 0;
  bool begun_ = false;
  bool ended_ = false;
};

}  // namespace

GroupMachine::GroupMachine(const Registry& registry, GroupId group) {
  const bool is_meta_group = group.none();
  for (size_t number = 1; number < kServicesMax; ++number) {
    const auto id = static_cast<ServiceId>(number);
    const bool belongs = (id == ServiceId::kMeta) == is_meta_group;
    if (belongs && registry.has(id)) {
      machines_[number] = registry.make(id);
    }
  }
}

// Reads a payload ahead of the command at hand, so that what the next ones will look at comes from
// memory while this one works: a batch waits for memory once in place of once for each command.
class GroupMachine::Ahead {
 public:
  Ahead(const GroupMachine& group, std::string_view payload) : group_(group), reader_(payload) {}

  // Before the command of this ordinal is applied.
  void pass(size_t ordinal) {
    BatchCommand command;
    while (begun_ < ordinal + kFar && reader_.next(command)) {
      const Hosted* const machine = group_.service(command.service);
      hints_[begun_++ % kFar] = {machine, machine == nullptr ? 0 : machine->prefetch(command.body)};
    }
    for (; done_ < begun_ && done_ < ordinal + kNear; ++done_) {
      const Hint& hint = hints_[done_ % kFar];
      if (hint.machine != nullptr && hint.number != 0) {
        hint.machine->prefetch_more(hint.number);
      }
    }
  }

 private:
  static constexpr size_t kNear = 4;
  static constexpr size_t kFar = 8;
  struct Hint {
    const Hosted* machine;
    uint64_t number;
  };
  const GroupMachine& group_;
  BatchReader reader_;
  std::array<Hint, kFar> hints_;  // of commands [done_, begun_)
  size_t begun_ = 0;
  size_t done_ = 0;
};

uint64_t GroupMachine::prefetch(int step, std::string_view payload, uint64_t hint) const {
  if (step == 0) {
    fetch_ahead(this, sizeof(*this));
    return 0;
  }
  const Hosted* const machine = service(last_);
  if (machine == nullptr) {
    return 0;
  }
  BatchCommand command;
  switch (step) {
    case 1:
    case 2: machine->prefetch_self(step - 1); return 0;
    case 3:
      machine->prefetch_self(2);
      return BatchReader(payload).next(command) && command.service == last_
                 ? machine->prefetch(command.body)
                 : 0;
    default:
      if (hint != 0) {
        machine->prefetch_more(hint);
      }
      return 0;
  }
}

Status GroupMachine::apply(std::string_view payload, const Moment& moment, AnswerSink* sink) {
  BatchReader reader(payload);
  BatchCommand command;
  Ahead ahead(*this, payload);
  for (size_t ordinal = 0; reader.next(command); ++ordinal) {
    ahead.pass(ordinal);
    answer_.clear();
    const Status status = apply_one(command, moment, sink != nullptr);
    if (sink != nullptr) {
      sink->on_answer(ordinal, status, answer_);
    }
  }
  if (answer_.capacity() > kAnswerKeptBytesMax) {
    answer_ = {};
  }
  if (!reader.ok()) {
    return Status(Code::kCorrupted, "an entry's payload does not decode");
  }
  return Status::success();
}

Status GroupMachine::apply_one(const BatchCommand& command, const Moment& moment, bool is_heard) {
  const bool gated = !command.session.none() || !command.key.none();
  if (gated) {
    Sessions::Verdict verdict = sessions_.admit(command, moment, answer_);
    if (verdict.gate != Sessions::Gate::kRun) {
      return std::move(verdict.refusal);
    }
  }
  if (command.service == ServiceId::kNode) {
    sessions_.apply(command.body, moment, answer_);
  } else {
    Hosted* const machine = machines_[static_cast<size_t>(command.service)].get();
    if (machine == nullptr) {
      return Status(Code::kInvalidArgument, "this group has no such service");
    }
    last_ = command.service;
    // What the gate keeps is state, whether anybody waits here or not.
    machine->apply(command.body, moment, is_heard || gated ? &answer_ : nullptr);
  }
  if (gated && !MUTANT(answers_are_not_kept)) {
    sessions_.keep(command, moment, answer_);
  }
  return Status::success();
}

Status GroupMachine::query(ServiceId service, std::string_view query, Stamp now,
                           std::string& answer) const {
  const Hosted* const machine = this->service(service);
  if (machine == nullptr) {
    return Status(Code::kInvalidArgument, "this group has no such service");
  }
  machine->query(query, now, answer);
  return Status::success();
}

const Hosted* GroupMachine::service(ServiceId service) const {
  const auto number = static_cast<size_t>(service);
  return number < kServicesMax ? machines_[number].get() : nullptr;
}

Stamp GroupMachine::next_due() const {
  Stamp next = sessions_.next_due();
  for (const auto& machine : machines_) {
    if (machine != nullptr) {
      next = std::min(next, machine->next_due());
    }
  }
  return next;
}

Duration GroupMachine::add_due_commands(Stamp now, const Heard& heard, BatchWriter& batch) const {
  Duration pause = Duration::seconds(3'600);
  if (sessions_.next_due() <= now) {
    const std::string body = sessions_.due_command(now);
    batch.add({.service = ServiceId::kNode, .body = body});
  } else if (sessions_.next_due() != Stamp::never()) {
    pause = std::min(pause, sessions_.next_due() - now);
  }
  for (size_t number = 1; number < kServicesMax; ++number) {
    const Hosted* const machine = machines_[number].get();
    if (machine == nullptr || machine->next_due() == Stamp::never()) {
      continue;
    }
    if (machine->next_due() > now) {
      pause = std::min(pause, machine->next_due() - now);
      continue;
    }
    const DueStep step = machine->due_step(now, heard);
    if (step.command.empty()) {
      pause = std::min(pause, step.pause);
    } else {
      batch.add({.service = static_cast<ServiceId>(number), .body = step.command});
    }
  }
  return pause;
}

void GroupMachine::add_due_commands(Stamp now, BatchWriter& batch) const {
  class Nobody final : public Heard {
   public:
    [[nodiscard]] Duration silence_of(ServiceId, std::string_view) const override {
      return Duration::nanos(INT64_MAX);
    }
  };
  (void)add_due_commands(now, Nobody(), batch);
}

void GroupMachine::subjects(ServiceId service, std::string_view query,
                            std::vector<std::string>& out) const {
  if (const Hosted* const machine = this->service(service)) {
    machine->subjects(query, out);
  }
}

bool GroupMachine::has_subject(ServiceId service, std::string_view subject) const {
  const Hosted* const machine = this->service(service);
  return machine != nullptr && machine->has_subject(subject);
}

uint64_t GroupMachine::news() const {
  uint64_t news = 0;
  for (const auto& machine : machines_) {
    news += machine == nullptr ? 0 : machine->news();
  }
  return news;
}

std::unique_ptr<SnapshotSource> GroupMachine::freeze() {
  std::vector<Part> parts;
  if (!MUTANT(forgotten_dedup_in_snapshot)) {
    parts.push_back({kSessionsPart, sessions_.freeze()});
  }
  for (size_t number = 1; number < kServicesMax; ++number) {
    if (machines_[number] != nullptr) {
      parts.push_back({static_cast<uint8_t>(number), machines_[number]->freeze()});
    }
  }
  return std::make_unique<GroupSource>(std::move(parts), digest());
}

void GroupMachine::restore_begin() {
  restore_ = {};
  sessions_.restore_begin();
  for (const auto& machine : machines_) {
    if (machine != nullptr) {
      machine->restore_begin();
    }
  }
}

Status GroupMachine::restore_piece(std::string_view piece) {
  while (!piece.empty()) {
    if (restore_.frame_left == 0) {
      RETURN_IF_ERROR(restore_header(piece));
      continue;
    }
    const std::string_view bytes = piece.substr(0, restore_.frame_left);
    piece.remove_prefix(bytes.size());
    restore_.frame_left -= static_cast<uint32_t>(bytes.size());
    const Status status = restore_part(restore_.part, bytes);
    if (!status.ok()) {
      return restore_fail(status.message());
    }
  }
  return Status::success();
}

// Takes from the piece what the magic, a frame's header or the end still lack.
Status GroupMachine::restore_header(std::string_view& piece) {
  if (restore_.ended) {
    return restore_fail("bytes after the end of a group's image");
  }
  std::string& pending = restore_.pending;
  const uint8_t tag = static_cast<uint8_t>(pending.empty() ? piece.front() : pending.front());
  const size_t whole = !restore_.magic_seen ? kMagic.size()
                       : tag == kEndMark    ? kEndBytes
                                            : kFrameHeaderBytes;
  const size_t taken = std::min(whole - pending.size(), piece.size());
  pending.append(piece.substr(0, taken));
  piece.remove_prefix(taken);
  if (pending.size() < whole) {
    return Status::success();
  }
  const std::string header = std::exchange(pending, {});
  if (!restore_.magic_seen) {
    restore_.magic_seen = true;
    return header == kMagic ? Status::success() : restore_fail("not the image of a group");
  }
  Reader reader(header);
  reader.u8();
  if (tag == kEndMark) {
    restore_.ended = true;
    restore_.digest = reader.u64();
    return Status::success();
  }
  if (tag < restore_.part) {
    return restore_fail("the parts of a group's image are out of order");
  }
  if (tag >= kServicesMax) {
    return restore_fail("an image has a part for a service that is not here");
  }
  restore_.part = tag;
  restore_.parts_seen |= 1u << tag;
  restore_.frame_left = reader.u32();
  return machines_[tag] != nullptr || tag == kSessionsPart
             ? Status::success()
             : restore_fail("an image has a part for a service that is not here");
}

Status GroupMachine::restore_part(uint8_t part, std::string_view bytes) {
  if (part == kSessionsPart) {
    return sessions_.restore_piece(bytes);
  }
  ASSERT(machines_[part] != nullptr);
  return machines_[part]->restore_piece(bytes);
}

Status GroupMachine::restore_end() {
  if (!restore_.ended) {
    return restore_fail("the image of a group is cut short");
  }
  Status status = MUTANT(forgotten_dedup_in_snapshot) ? Status::success() : sessions_.restore_end();
  for (size_t number = 1; number < kServicesMax; ++number) {
    // A service that is younger than the image has no part in it, and begins empty.
    if (status.ok() && (restore_.parts_seen & 1u << number) != 0) {
      status = machines_[number]->restore_end();
    }
  }
  if (!status.ok()) {
    return restore_fail(status.message());
  }
  if (restore_.digest != digest() && !MUTANT(forgotten_dedup_in_snapshot)) {
    return restore_fail("the image of a group does not match its digest");
  }
  restore_ = {};
  return Status::success();
}

Status GroupMachine::restore_fail(std::string message) {
  restore_begin();
  return Status(Code::kCorrupted, std::move(message));
}

uint64_t GroupMachine::digest() const {
  uint64_t digest = mix64(sessions_.digest());
  for (size_t number = 1; number < kServicesMax; ++number) {
    const uint64_t part = machines_[number] == nullptr ? 0 : machines_[number]->digest();
    digest += part == 0 ? 0 : mix64(part ^ mix64(number));   // an empty service adds nothing
  }
  return digest;
}

void GroupMachine::check_invariants() const {
  sessions_.check_invariants();
  for (const auto& machine : machines_) {
    if (machine != nullptr) {
      machine->check_invariants();
    }
  }
}

size_t GroupMachine::memory_bytes() const {
  size_t bytes = sizeof(*this) + sessions_.memory_bytes();
  for (const auto& machine : machines_) {
    bytes += machine == nullptr ? 0 : machine->memory_bytes();
  }
  return bytes;
}

}  // namespace quorate::service
