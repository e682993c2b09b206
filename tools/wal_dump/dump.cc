// SPDX-License-Identifier: Apache-2.0
#include "tools/wal_dump/dump.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "wal/segments.h"
#include "wal/snapshot_file.h"

namespace quorate::wal {
namespace {

constexpr size_t kPayloadShownBytes = 32;

// A file opened for reading, as the readers of the formats want it.
class PlainFile final : public env::File {
 public:
  explicit PlainFile(const std::string& path) : in_(path, std::ios::binary) {}
  [[nodiscard]] bool good() const { return in_.good(); }

  Result<uint64_t> size() override {
    in_.clear();
    in_.seekg(0, std::ios::end);
    return static_cast<uint64_t>(in_.tellg());
  }
  Result<size_t> read(uint64_t offset, std::span<char> out) override {
    in_.clear();
    in_.seekg(static_cast<std::streamoff>(offset));
    in_.read(out.data(), static_cast<std::streamsize>(out.size()));
    return static_cast<size_t>(in_.gcount());
  }
  void write(uint64_t, std::vector<std::string_view>, env::Sync, WriteDone done) override {
    done(read_only());
  }
  Status write_now(uint64_t, std::string_view) override { return read_only(); }
  Status sync_now() override { return read_only(); }
  Status truncate(uint64_t) override { return read_only(); }

 private:
  static Status read_only() { return {Code::kPermissionDenied, "opened for reading"}; }
  std::ifstream in_;
};

std::string hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (const char byte : bytes.substr(0, kPayloadShownBytes)) {
    out += kDigits[static_cast<uint8_t>(byte) >> 4];
    out += kDigits[static_cast<uint8_t>(byte) & 15];
  }
  return out + (bytes.size() > kPayloadShownBytes ? "..." : "");
}

// One line of text ("word key=value ...") or one JSON object per thing.
class Row {
 public:
  Row(bool json, int depth, std::string_view what) : json_(json) {
    out_ = json ? "{\"what\":\"" + std::string(what) + "\""
                : std::string(static_cast<size_t>(depth) * 2, ' ') + std::string(what);
  }
  Row& number(std::string_view key, uint64_t value) { return raw(key, std::to_string(value)); }
  Row& signed_number(std::string_view key, int64_t value) {
    return raw(key, std::to_string(value));
  }
  // Words of our own, without anything to escape.
  Row& word(std::string_view key, std::string_view value) {
    return raw(key, json_ ? "\"" + std::string(value) + "\"" : std::string(value));
  }
  Row& damage(std::string_view sentence) {
    out_ += json_ ? ",\"damage\":\"" + std::string(sentence) + "\""
                  : "  DAMAGED: " + std::string(sentence);
    return *this;
  }
  [[nodiscard]] std::string end() const { return out_ + (json_ ? "}\n" : "\n"); }

 private:
  Row& raw(std::string_view key, const std::string& value) {
    out_ += json_ ? ",\"" + std::string(key) + "\":" + value : " " + std::string(key) + "=" + value;
    return *this;
  }
  bool json_;
  std::string out_;
};

class SegmentDump {
 public:
  SegmentDump(const SegmentBytes& segment, const DumpOptions& options)
      : segment_(segment), options_(options) {}

  Dump run() {
    Row head = row(0, "segment");
    head.number("number", segment_.number).number("bytes", segment_.bytes.size());
    if (segment_.unreadable_bytes > 0) {
      damaged(head, std::to_string(segment_.unreadable_bytes) + " bytes cannot be read");
    }
    dump_.text += head.end();
    uint64_t at = 0;
    while (const auto found = next_batch(segment_, 0, at)) {
      if (found->at > at) {
        gap(at, found->at, true);
      }
      batch(*found);
      at = found->end();
    }
    if (at < segment_.bytes.size()) {
      gap(at, segment_.bytes.size(), false);
    }
    return std::move(dump_);
  }

 private:
  Row row(int depth, std::string_view what) { return {options_.json, depth, what}; }
  void damaged(Row& row, std::string_view sentence) {
    row.damage(sentence);
    ++dump_.damages;
  }

  // Behind the last batch lie zeros, what a recycled file held, or a write that was torn.
  void gap(uint64_t begin, uint64_t end, bool between) {
    const std::string_view bytes = std::string_view(segment_.bytes).substr(begin, end - begin);
    const bool zeros = bytes.find_first_not_of('\0') == std::string_view::npos;
    Row out = row(1, between ? "gap" : "rest");
    out.number("at", begin).number("bytes", end - begin).word("holds", zeros ? "zeros" : "others");
    if (between) {
      damaged(out, "no batch can be read here");
    }
    dump_.text += out.end();
  }

  void batch(const FoundBatch& found) {
    const BatchHeader& header = found.header;
    Row out = row(1, "batch");
    out.number("number", header.number)
        .number("at", found.at)
        .number("bytes", header.total_bytes())
        .number("items", header.items)
        .number("durable", header.durable)
        .number("oldest_segment", header.oldest)
        .number("oldest_batch", header.needed_from());
    if (found.head_damaged) {
      damaged(out, "its first header");
    }
    if (found.tail_damaged) {
      damaged(out, "its last header");
    }
    dump_.text += out.end();
    BatchScan scan(segment_, found);
    Item item;
    while (scan.next(item)) {
      if (!options_.group || *options_.group == item.group) {
        one_item(item, scan);
      }
    }
    if (scan.repaired() || scan.lost_items()) {
      Row note = row(2, "directory");
      damaged(note, scan.lost_items() ? "the rest of both copies" : "one of its copies");
      dump_.text += note.end();
    }
  }

  void one_item(const Item& item, const BatchScan& scan) {
    Row out = row(2, name_of(item.kind));
    out.number("group", item.group.value());
    if (item.suspect) {
      out.word("tail", "suspect");
    }
    if (item.has_state()) {
      out.number("term", item.state.term.value())
          .number("vote", item.state.vote.value())
          .number("commit", item.state.commit.value());
    }
    if (item.kind == ItemKind::kState || item.kind == ItemKind::kBounds) {
      out.number("last", item.last.value()).number("last_term", item.last_term.value());
    }
    if (item.kind == ItemKind::kBounds) {
      out.number("compacted", item.compacted.value())
          .number("compacted_term", item.compacted_term.value());
    }
    if (item.has_records() || item.kind == ItemKind::kMissing) {
      out.number("first", item.first.value()).number("count", item.count);
    }
    dump_.text += out.end();
    for (size_t i = 0; i < item.records.size(); ++i) {
      entry(item, i, scan);
    }
  }

  void entry(const Item& item, size_t i, const BatchScan& scan) {
    const ItemRecord& record = item.records[i];
    Row out = row(3, "entry");
    out.number("index", (item.first + i).value())
        .number("term", record.term.value())
        .number("kind", record.kind)
        .signed_number("stamp", record.at.micros())
        .number("bytes", record.bytes);
    if (options_.payloads) {
      out.word("payload", hex(scan.payload(record)));
    }
    if (!scan.payload_good(record)) {
      damaged(out, "its payload");
    }
    dump_.text += out.end();
  }

  const SegmentBytes& segment_;
  const DumpOptions& options_;
  Dump dump_;
};

Result<Dump> dump_file(const std::filesystem::path& path, const DumpOptions& options) {
  const std::string name = path.filename().string();
  PlainFile file(path.string());
  if (!file.good()) {
    return Status{Code::kNotFound, path.string() + " cannot be opened"};
  }
  if (const uint32_t number = segment_number(name); number != 0) {
    const auto segment = load_segment(file, number);
    RETURN_IF_ERROR(segment);
    return dump_segment(*segment, options);
  }
  if (name.starts_with("snapshot-")) {
    return dump_snapshot(name, file, options);
  }
  return Dump{Row(options.json, 0, "file").word("name", name).end(), 0};
}

}  // namespace

Dump dump_segment(const SegmentBytes& segment, const DumpOptions& options) {
  return SegmentDump(segment, options).run();
}

Dump dump_snapshot(const std::string& name, env::File& file, const DumpOptions& options) {
  Dump dump;
  Row out(options.json, 0, "snapshot");
  out.word("name", name);
  const auto head = read_snapshot_head(file);
  if (head.ok() && options.group && *options.group != head->group) {
    return dump;
  }
  if (head.ok()) {
    out.number("group", head->group.value())
        .number("index", head->index.value())
        .number("term", head->term.value())
        .number("header_bytes", head->header.size());
  }
  if (head.ok() && name.ends_with(".part")) {
    const auto good = read_good_part(file, *head);
    out.number("received", good.ok() ? good->bytes : 0);
  } else if (const auto whole = verify_snapshot(file); whole.ok()) {
    out.number("body_bytes", whole->bytes);
  } else {
    out.damage(whole.status().message());
    dump.damages = 1;
  }
  dump.text = out.end();
  return dump;
}

Result<Dump> dump_path(const std::string& path, const DumpOptions& options) {
  std::error_code error;
  if (!std::filesystem::is_directory(path, error)) {
    return dump_file(path, options);
  }
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(path, error)) {
    files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  Dump all;
  for (const auto& file : files) {
    const auto one = dump_file(file, options);
    RETURN_IF_ERROR(one);
    all.text += one->text;
    all.damages += one->damages;
  }
  return all;
}

}  // namespace quorate::wal
