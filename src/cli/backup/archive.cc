// SPDX-License-Identifier: Apache-2.0
#include "cli/backup/archive.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <filesystem>

#include "cli/backup/cluster_copy.h"
#include "cli/requests.h"

namespace quorate::cli {

namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

constexpr std::string_view kBaseName = "base-";
constexpr std::string_view kBaseEnd = ".qb";
constexpr std::string_view kChangeName = "changes-";
constexpr std::string_view kChangeEnd = ".ql";

std::optional<uint64_t> number_of(std::string_view name, std::string_view begin,
                                  std::string_view end) {
  if (!name.starts_with(begin) || !name.ends_with(end)) {
    return std::nullopt;
  }
  name.remove_prefix(begin.size());
  name.remove_suffix(end.size());
  uint64_t number = 0;
  const auto [rest, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  return error == std::errc() && rest == name.data() + name.size() ? std::optional(number)
                                                                   : std::nullopt;
}

std::string path_of(const std::string& directory, std::string_view begin, uint64_t number,
                    std::string_view end) {
  std::array<char, 24> digits{};
  (void)std::snprintf(digits.data(), digits.size(), "%08llu",
                      static_cast<unsigned long long>(number));
  return directory + "/" + std::string(begin) + digits.data() + std::string(end);
}

void take_block(const Block& block, size_t number, const json::object& body, Contents& contents) {
  const uint64_t group = get_number(body, "group");
  switch (block.kind) {
    case BlockKind::kHeader:
      contents.cluster = get_bytes(body, "cluster");
      contents.groups = get_number(body, "groups");
      break;
    case BlockKind::kKeyspace: contents.keyspaces.push_back(body); break;
    case BlockKind::kIndex: contents.indexes.push_back(body); break;
    case BlockKind::kGroup:
      contents.begins[group] = number;
      contents.complete.erase(group);
      break;
    case BlockKind::kPage:
      for (const json::value& each : list_at(body, "entries")) {
        contents.places[get_number(each.get_object(), "keyspace")].insert(group);
        ++contents.entries;
      }
      break;
    case BlockKind::kComplete:
      contents.complete[group] = get_number(body, "revision");
      contents.times[group] = get_number(body, "at_ms");
      break;
    case BlockKind::kEnd: contents.end_ms = get_number(body, "at_ms"); break;
    case BlockKind::kChanges:
    case BlockKind::kTimes: break;
  }
}

}  // namespace

Result<Contents> read_contents(const std::string& path) {
  Result<BackupReader> file = BackupReader::open(path);
  RETURN_IF_ERROR(file);
  Contents contents;
  contents.path = path;
  bool ended = false;
  for (size_t number = 0;; ++number) {
    const Result<std::optional<Block>> block = file->next();
    RETURN_IF_ERROR(block);
    if (!block->has_value()) {
      break;
    }
    const json::value body = parse_json((*block)->body);
    if (!body.is_object() || ended) {
      return Status(Code::kCorrupted, path + " is damaged");
    }
    ended = (*block)->kind == BlockKind::kEnd;
    take_block(**block, number, body.get_object(), contents);
  }
  if (!ended || file->is_of_changes() || contents.complete.size() != contents.begins.size()) {
    return Status(Code::kCorrupted, path + " does not come to its end");
  }
  return contents;
}

Result<Archive> Archive::open(const std::string& directory) {
  std::error_code error;
  Archive archive;
  archive.directory_ = directory;
  for (fs::directory_iterator at(directory, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (const auto base = number_of(name, kBaseName, kBaseEnd)) {
      archive.bases_.push_back({*base, at->path().string()});
      archive.last_number_ = std::max(archive.last_number_, *base);
    } else if (const auto change = number_of(name, kChangeName, kChangeEnd)) {
      archive.changes_.push_back({*change, at->path().string()});
      archive.last_number_ = std::max(archive.last_number_, *change);
    }
  }
  if (error) {
    return Status(Code::kNotFound, "cannot read " + directory + ": " + error.message());
  }
  const auto by_number = [](const auto& left, const auto& right) {
    return left.number < right.number;
  };
  std::sort(archive.bases_.begin(), archive.bases_.end(), by_number);
  std::sort(archive.changes_.begin(), archive.changes_.end(), by_number);
  return archive;
}

std::string Archive::base_path(uint64_t number) const {
  return path_of(directory_, kBaseName, number, kBaseEnd);
}

std::string Archive::change_path(uint64_t number) const {
  return path_of(directory_, kChangeName, number, kChangeEnd);
}

// The last whose writer knew every one of the groups, and none of them beyond what is known.
size_t Archive::first_after(const Revisions& known) const {
  for (size_t number = changes_.size(); number > 0; --number) {
    const std::optional<json::object> header = read_header(changes_[number - 1].path);
    if (!header.has_value()) {
      continue;
    }
    const Revisions begins = revisions_of(*header);
    const bool is_before = std::all_of(known.begin(), known.end(), [&begins](const auto& each) {
      const auto begin = begins.find(each.first);
      return begin != begins.end() && begin->second <= each.second;
    });
    if (is_before) {
      return number - 1;
    }
  }
  return 0;
}

// The header of a file says what its writer knew, and its blocks how that grew.
Result<Archive::End> Archive::end() const {
  End end;
  for (size_t number = changes_.size(); number > 0; --number) {
    const std::optional<json::object> header = read_header(changes_[number - 1].path);
    if (!header.has_value()) {
      continue;
    }
    end.cluster = get_bytes(*header, "cluster");
    end.revisions = revisions_of(*header);
    const auto grow = [&end](const Stretch& stretch) {
      // A group that comes later begins anew, with what its base has.
      const auto known = end.revisions.try_emplace(stretch.group, stretch.after).first;
      known->second = std::max(known->second, stretch.through);
      uint64_t& time = end.times[stretch.group];
      time = std::max(time, stretch.to_ms);
    };
    // What is behind a damaged block has to be asked for once more.
    (void)read_changes(changes_[number - 1].path, [&](BlockKind kind, const json::object& body) {
      if (kind == BlockKind::kChanges) {
        grow(stretch_of(body));
      } else if (kind == BlockKind::kHeader || kind == BlockKind::kTimes) {
        const std::vector<Stretch> stretches = stretches_of(body);
        std::for_each(stretches.begin(), stretches.end(), grow);
      }
      return Status::success();
    });
    return end;
  }
  return end;
}

std::optional<json::object> read_header(const std::string& path) {
  Result<BackupReader> file = BackupReader::open(path);
  if (!file.ok() || !file->is_of_changes()) {
    return std::nullopt;
  }
  const Result<std::optional<Block>> block = file->next();
  if (!block.ok() || !block->has_value() || (*block)->kind != BlockKind::kHeader) {
    return std::nullopt;
  }
  json::value body = parse_json((*block)->body);
  return body.is_object() ? std::optional(std::move(body.get_object())) : std::nullopt;
}

Revisions revisions_of(const json::object& header) {
  Revisions revisions;
  for (const json::value& each : list_at(header, "groups")) {
    if (each.is_object()) {
      revisions[get_number(each.get_object(), "group")] = get_number(each.get_object(), "revision");
    }
  }
  return revisions;
}

Status read_changes(const std::string& path, const SeeBlock& see) {
  Result<BackupReader> file = BackupReader::open(path);
  RETURN_IF_ERROR(file);
  for (;;) {
    const Result<std::optional<Block>> block = file->next();
    RETURN_IF_ERROR(block);
    if (!block->has_value()) {
      return Status::success();
    }
    const json::value body = parse_json((*block)->body);
    if (!body.is_object()) {
      return Status(Code::kCorrupted, path + " has a block that is no JSON object");
    }
    RETURN_IF_ERROR(see((*block)->kind, body.get_object()));
  }
}

Stretch stretch_of(const json::object& body) {
  return {get_number(body, "group"), get_number(body, "after"), get_number(body, "through"),
          get_number(body, "to_ms")};
}

std::vector<Stretch> stretches_of(const json::object& body) {
  std::vector<Stretch> stretches;
  for (const json::value& each : list_at(body, "groups")) {
    if (each.is_object()) {
      const json::object& group = each.get_object();
      const uint64_t revision = get_number(group, "revision");
      stretches.push_back(
          {get_number(group, "group"), revision, revision, get_number(group, "to_ms")});
    }
  }
  return stretches;
}

}  // namespace quorate::cli
