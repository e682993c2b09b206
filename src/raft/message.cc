// SPDX-License-Identifier: Apache-2.0
// The bytes of messages and configurations; docs/formats/raft.md shows them.
//
// A message is its kind, a varint mask of the fields that are not zero, and those fields in the
// order of the mask's bits. Entries are contiguous, so only the first carries its index, and a
// term is written only where it changes: an append of one entry costs some thirty bytes more than
// its payload.
#include "raft/message.h"

#include <algorithm>

#include "base/limits.h"
#include "raft/config_change.h"

namespace quorate::raft {
namespace {

// The bits are on the wire.
enum Field : uint32_t {
  kTerm = 1 << 0,
  kIndex = 1 << 1,
  kLogTerm = 1 << 2,
  kCommit = 1 << 3,
  kHintIndex = 1 << 4,
  kHintTerm = 1 << 5,
  kContext = 1 << 6,
  kOffset = 1 << 7,
  kReject = 1 << 8,
  kFlag = 1 << 9,
  kEntries = 1 << 10,
  kSnapshotMeta = 1 << 11,
  kData = 1 << 12,
  kAllFields = (1 << 13) - 1,
};

// Far above any real term or index, and far below where adding to one overflows.
constexpr uint64_t kPositionMax = uint64_t{1} << 62;
constexpr uint8_t kSameTerm = 0x80;
// kind, stamp, length.
constexpr size_t kEntryBytesMin = 3;

uint32_t fields_of(const Message& message) {
  const auto bit = [](bool present, Field field) { return present ? uint32_t{field} : 0; };
  return bit(!message.term.none(), kTerm) | bit(!message.index.none(), kIndex) |
         bit(!message.log_term.none(), kLogTerm) | bit(!message.commit.none(), kCommit) |
         bit(!message.hint_index.none(), kHintIndex) | bit(!message.hint_term.none(), kHintTerm) |
         bit(message.context != 0, kContext) | bit(message.offset != 0, kOffset) |
         bit(message.reject, kReject) | bit(message.flag, kFlag) |
         bit(!message.entries.empty(), kEntries) | bit(!message.snapshot.empty(), kSnapshotMeta) |
         bit(!message.data.empty(), kData);
}

template <class Position>
Position read_position(Reader& in) {
  const auto value = in.id<Position>();
  if (value.value() > kPositionMax) {
    in.fail();
  }
  return value;
}

uint64_t zigzag(uint64_t difference) {
  return (difference << 1) ^ (static_cast<int64_t>(difference) < 0 ? ~uint64_t{0} : 0);
}

uint64_t unzigzag(uint64_t value) { return (value >> 1) ^ (~(value & 1) + 1); }

// Before any payload: kind, mask, six positions, context, offset; the number and index of entries,
// and the first entry's kind, term, stamp and length.
using Fields = ShortWriter<1 + 13 * 10 + 1 + 3 * 10>;

void encode_entries(const Entries& entries, Fields& out, std::string& bytes) {
  out.varint(entries.size());
  out.id(entries.front().index);
  Term term;
  uint64_t at = 0;
  Index index = entries.front().index;
  for (const Entry& entry : entries) {
    ASSERT(entry.index == index, "a message carries contiguous entries");
    const bool same = entry.term == term;
    out.u8(static_cast<uint8_t>(entry.kind) | (same ? kSameTerm : 0));
    if (!same) {
      out.id(entry.term);
    }
    const auto stamp = static_cast<uint64_t>(entry.at.micros());
    out.varint(zigzag(stamp - at));
    out.varint(entry.payload.size());
    out.move_to(bytes);
    bytes.append(entry.payload.view());
    term = entry.term;
    at = stamp;
    ++index;
  }
}

Entry decode_entry(Reader& in, const Buffer& frame) {
  Entry entry;
  const uint8_t kind = in.u8();
  entry.kind = static_cast<EntryKind>(kind & ~kSameTerm);
  if (entry.kind > EntryKind::kConfig) {
    in.fail();
  }
  if ((kind & kSameTerm) == 0) {
    entry.term = read_position<Term>(in);
  }
  entry.at = Stamp::from_micros(static_cast<int64_t>(unzigzag(in.varint())));
  const std::string_view payload = in.bytes();
  if (!payload.empty()) {
    entry.payload =
        frame.slice(static_cast<size_t>(payload.data() - frame.view().data()), payload.size());
  }
  return entry;
}

Entries decode_entries(Reader& in, const Buffer& frame) {
  Entries entries;
  const uint64_t count = in.count(kEntryBytesMin);
  auto index = read_position<Index>(in);
  if (count == 0 || count > limits::kAppendEntriesMax || index.none()) {
    in.fail();
    return entries;
  }
  entries.reserve(count);
  Term term;
  uint64_t at = 0;
  while (entries.size() < count && in.ok()) {
    Entry entry = decode_entry(in, frame);
    if (entry.term.none()) {
      entry.term = term;
    }
    if (entry.term.none()) {
      in.fail();
    }
    at += static_cast<uint64_t>(entry.at.micros());
    entry.at = Stamp::from_micros(static_cast<int64_t>(at));
    entry.index = index;
    term = entry.term;
    ++index;
    entries.push_back(std::move(entry));
  }
  return entries;
}

void encode_nodes(const std::vector<NodeId>& nodes, Writer& out) {
  out.varint(nodes.size());
  for (const NodeId node : nodes) {
    out.id(node);
  }
}

std::vector<NodeId> decode_nodes(Reader& in) {
  std::vector<NodeId> nodes;
  const uint64_t count = in.count(1);
  if (count > limits::kNodesMax) {
    in.fail();
    return nodes;
  }
  for (uint64_t i = 0; i < count; ++i) {
    nodes.push_back(in.id<NodeId>());
  }
  return nodes;
}

void encode_positions(const Message& message, uint32_t fields, Fields& out) {
  const auto position = [&](Field field, auto value) {
    if ((fields & field) != 0) {
      out.id(value);
    }
  };
  position(kTerm, message.term);
  position(kIndex, message.index);
  position(kLogTerm, message.log_term);
  position(kCommit, message.commit);
  position(kHintIndex, message.hint_index);
  position(kHintTerm, message.hint_term);
}

void decode_positions(Message& message, uint64_t fields, Reader& in) {
  const auto position = [&]<class Position>(Field field, Position& value) {
    if ((fields & field) != 0) {
      value = read_position<Position>(in);
    }
  };
  position(kTerm, message.term);
  position(kIndex, message.index);
  position(kLogTerm, message.log_term);
  position(kCommit, message.commit);
  position(kHintIndex, message.hint_index);
  position(kHintTerm, message.hint_term);
}

ConfigChange read_change(Reader& in) {
  ConfigChange change;
  change.joint = in.boolean();
  const uint64_t count = in.count(2);
  if (count > 2 * limits::kReplicasMax) {
    in.fail();
    return change;
  }
  for (uint64_t i = 0; i < count; ++i) {
    const uint8_t kind = in.u8();
    if (kind < static_cast<uint8_t>(ChangeKind::kAddVoter) ||
        kind > static_cast<uint8_t>(ChangeKind::kAddWitness)) {
      in.fail();
    }
    const auto node = in.id<NodeId>();
    change.changes.push_back({static_cast<ChangeKind>(kind), node});
  }
  return change;
}

}  // namespace

void encode(const Message& message, std::string& bytes) {
  Fields out;
  const uint32_t fields = fields_of(message);
  out.u8(static_cast<uint8_t>(message.kind));
  out.varint(fields);
  encode_positions(message, fields, out);
  if ((fields & kContext) != 0) {
    out.varint(message.context);
  }
  if ((fields & kOffset) != 0) {
    out.varint(message.offset);
  }
  if ((fields & kEntries) != 0) {
    encode_entries(message.entries, out, bytes);
  }
  out.move_to(bytes);
  Writer rare(bytes);
  if ((fields & kSnapshotMeta) != 0) {
    rare.id(message.snapshot->index);
    rare.id(message.snapshot->term);
    encode(message.snapshot->config, rare);
  }
  if ((fields & kData) != 0) {
    rare.bytes(message.data.view());
  }
}

Result<Message> decode_message(const Buffer& frame) {
  Reader in(frame.view());
  Message message;
  const uint8_t kind = in.u8();
  const uint64_t fields = in.varint();
  if (kind < static_cast<uint8_t>(MessageKind::kPreVote) ||
      kind > static_cast<uint8_t>(MessageKind::kRepairAnswer) || fields > kAllFields) {
    return Status(Code::kCorrupted, "not a raft message");
  }
  message.kind = static_cast<MessageKind>(kind);
  decode_positions(message, fields, in);
  message.context = (fields & kContext) != 0 ? in.varint() : 0;
  message.offset = (fields & kOffset) != 0 ? in.varint() : 0;
  message.reject = (fields & kReject) != 0;
  message.flag = (fields & kFlag) != 0;
  if ((fields & kEntries) != 0) {
    message.entries = decode_entries(in, frame);
  }
  if ((fields & kSnapshotMeta) != 0) {
    SnapshotMeta& meta = message.snapshot.value();
    meta.index = read_position<Index>(in);
    meta.term = read_position<Term>(in);
    meta.config = decode_config(in);
  }
  if ((fields & kData) != 0) {
    const std::string_view data = in.bytes();
    if (!data.empty()) {
      message.data =
          frame.slice(static_cast<size_t>(data.data() - frame.view().data()), data.size());
    }
  }
  if (!in.done()) {
    return Status(Code::kCorrupted, "a raft message that is cut or too long");
  }
  return message;
}

void encode(const Config& config, Writer& out) {
  encode_nodes(config.voters, out);
  encode_nodes(config.outgoing, out);
  encode_nodes(config.learners, out);
  encode_nodes(config.learners_next, out);
  encode_nodes(config.witnesses, out);
}

Config decode_config(Reader& in) {
  Config config;
  config.voters = decode_nodes(in);
  config.outgoing = decode_nodes(in);
  config.learners = decode_nodes(in);
  config.learners_next = decode_nodes(in);
  config.witnesses = decode_nodes(in);
  if (!well_formed(config)) {
    in.fail();
    return {};
  }
  return config;
}

std::string encode(const ConfigChange& change) {
  std::string bytes;
  Writer out(bytes);
  out.boolean(change.joint);
  out.varint(change.changes.size());
  for (const Change& one : change.changes) {
    out.u8(static_cast<uint8_t>(one.kind));
    out.id(one.node);
  }
  return bytes;
}

std::string encode(const ConfigChange& change, const Config& result) {
  std::string bytes = encode(change);
  Writer out(bytes);
  encode(result, out);
  return bytes;
}

Result<ConfigChange> decode_config_change(std::string_view bytes) {
  Reader in(bytes);
  const ConfigChange change = read_change(in);
  if (in.left() > 0) {
    (void)decode_config(in);
  }
  if (!in.done()) {
    return Status(Code::kCorrupted, "not a configuration change");
  }
  return change;
}

std::optional<Config> decode_config_result(std::string_view bytes) {
  Reader in(bytes);
  (void)read_change(in);
  if (in.left() == 0) {
    return std::nullopt;
  }
  Config config = decode_config(in);
  return in.done() ? std::optional(std::move(config)) : std::nullopt;
}

}  // namespace quorate::raft
