// SPDX-License-Identifier: Apache-2.0
#include "node/identity.h"

#include <algorithm>

#include "base/codec.h"
#include "base/crc.h"
#include "base/limits.h"

namespace quorate::node {
namespace {

struct Copy {
  const char* name;
  const char* name_new;
};

// In the order in which they are written: the first that can be read is the newest.
constexpr Copy kCopies[] = {{"identity", "identity.new"}, {"identity.copy", "identity.copy.new"}};
constexpr uint32_t kMagic = 0x51524944;  // "DIRQ"
constexpr uint8_t kVersion = 1;
constexpr size_t kBytesMax = 256 + 5 * (size_t{limits::kGroupsMax} + 1);

}  // namespace

std::string encode(const Identity& identity) {
  std::string bytes;
  Writer writer(bytes);
  writer.u32(kMagic);
  writer.u8(kVersion);
  writer.u64(identity.cluster_id);
  writer.id(identity.node);
  writer.varint(identity.groups);
  writer.boolean(identity.established);
  writer.varint(identity.suspects.size());
  for (const GroupId id : identity.suspects) {
    writer.id(id);
  }
  writer.u32(crc32c(bytes));
  return bytes;
}

Result<Identity> decode_identity(std::string_view bytes) {
  const Status damaged(Code::kCorrupted, "the identity file of the data directory is damaged");
  if (bytes.size() < 4) {
    return damaged;
  }
  const std::string_view body = bytes.substr(0, bytes.size() - 4);
  if (Reader(bytes.substr(body.size())).u32() != crc32c(body)) {
    return damaged;
  }
  Reader reader(body);
  if (reader.u32() != kMagic) {
    return damaged;
  }
  if (reader.u8() != kVersion) {
    return Status(Code::kCorrupted, "the data directory was written by a newer version");
  }
  Identity identity;
  identity.cluster_id = reader.u64();
  identity.node = reader.id<NodeId>();
  identity.groups = static_cast<uint32_t>(reader.varint());
  identity.established = reader.boolean();
  for (uint64_t left = reader.count(1); left > 0; --left) {
    identity.suspects.push_back(reader.id<GroupId>());
  }
  if (!reader.done()) {
    return damaged;
  }
  return identity;
}

namespace {

// One copy as it lies on disk; nothing if there is no such file.
Result<std::optional<std::string>> read_copy(env::Disk& disk, const Copy& copy) {
  const Result<std::vector<std::string>> names = disk.list("");
  RETURN_IF_ERROR(names);
  if (std::find(names->begin(), names->end(), copy.name) == names->end()) {
    return std::optional<std::string>();
  }
  Result<std::unique_ptr<env::File>> file = disk.open(copy.name, env::OpenMode::kRead);
  RETURN_IF_ERROR(file);
  const Result<uint64_t> size = (*file)->size();
  RETURN_IF_ERROR(size);
  std::string bytes(std::min<uint64_t>(*size, kBytesMax), '\0');
  const Result<size_t> read = (*file)->read(0, bytes);
  RETURN_IF_ERROR(read);
  bytes.resize(*read);
  return std::optional<std::string>(std::move(bytes));
}

Status write_copy(env::Disk& disk, const Copy& copy, const std::string& bytes) {
  {
    Result<std::unique_ptr<env::File>> file = disk.open(copy.name_new, env::OpenMode::kCreate);
    RETURN_IF_ERROR(file);
    RETURN_IF_ERROR((*file)->truncate(0));
    RETURN_IF_ERROR((*file)->write_now(0, bytes));
    RETURN_IF_ERROR((*file)->sync_now());
  }
  RETURN_IF_ERROR(disk.rename(copy.name_new, copy.name));
  return disk.sync_directory("");
}

}  // namespace

Result<std::optional<Identity>> load_identity(env::Disk& disk) {
  std::optional<Status> damage;
  std::string good;
  bool stale = false;  // a copy is missing, damaged, or older than the first good one
  for (const Copy& copy : kCopies) {
    Result<std::optional<std::string>> bytes = read_copy(disk, copy);
    RETURN_IF_ERROR(bytes);
    if (!bytes->has_value()) {
      stale = true;
      continue;
    }
    const Result<Identity> decoded = decode_identity(**bytes);
    if (!decoded.ok()) {
      damage = decoded.status();
      stale = true;
    } else if (good.empty()) {
      good = std::move(**bytes);
    } else {
      stale = stale || good != **bytes;
    }
  }
  if (good.empty()) {
    return damage.has_value() ? Result<std::optional<Identity>>(*damage)
                              : std::optional<Identity>();
  }
  const Result<Identity> identity = decode_identity(good);
  RETURN_IF_ERROR(identity);
  if (stale) {
    RETURN_IF_ERROR(store_identity(disk, *identity));
  }
  return std::optional<Identity>(*identity);
}

Status store_identity(env::Disk& disk, const Identity& identity) {
  const std::string bytes = encode(identity);
  for (const Copy& copy : kCopies) {
    RETURN_IF_ERROR(write_copy(disk, copy, bytes));
  }
  return Status::success();
}

}  // namespace quorate::node
