// SPDX-License-Identifier: Apache-2.0
#include "service/verb/fence.h"

#include <algorithm>

#include "base/assert.h"
#include "base/limits.h"
#include "base/mutant.h"

namespace quorate::service {
namespace {

// A mark that is used all the time moves only so often in the order of ends.
constexpr Duration kEndStep = kFenceKept / 8;

std::string shown(std::string_view lock) {
  constexpr size_t kShownBytes = 128;
  return lock.size() <= kShownBytes ? std::string(lock)
                                    : std::string(lock.substr(0, kShownBytes)) + "...";
}

}  // namespace

void write_fields(Writer& writer, const Fence& fence) {
  writer.id(fence.domain);
  writer.bytes(fence.lock);
  writer.id(fence.token);
}

void read_fields(Reader& reader, Fence& fence) {
  fence.domain = reader.id<DomainId>();
  fence.lock = reader.bytes();
  fence.token = reader.id<Token>();
}

Status check_fence(const Fence& fence) {
  if (fence.lock.empty() || fence.token.none()) {
    return Status(Code::kInvalidArgument, "a fence names a lock and a token of it");
  }
  if (fence.lock.size() > limits::kLockNameBytesMax) {
    return Status(Code::kTooLarge, "the name of a lock is over its limit");
  }
  return Status::success();
}

std::string mark_name(const Fence& fence) {
  std::string name;
  Writer writer(name);
  writer.id(fence.domain);
  writer.raw(fence.lock);
  return name;
}

std::string encode_mark(const FenceMark& mark) {
  std::string bytes;
  Writer writer(bytes);
  writer.id(mark.greatest);
  writer.stamp(mark.end);
  return bytes;
}

bool parse_mark(std::string_view record, FenceMark& mark) {
  Reader reader(record);
  mark.greatest = reader.id<Token>();
  mark.end = reader.stamp();
  return reader.done() && !mark.greatest.none();
}

FenceMark mark_of(std::string_view record) {
  FenceMark mark;
  const bool is_mark = parse_mark(record, mark);
  ASSERT(is_mark);
  return mark;
}

Result<FenceMark> pass(const Fence& fence, const FenceMark& before, Stamp at) {
  const bool is_kept = !before.greatest.none() && before.end > at;
  if (is_kept && fence.token < before.greatest && !MUTANT(fences_are_ignored)) {
    return Status(Code::kPreconditionFailed,
                  "fenced off: the token " + std::to_string(fence.token.value()) +
                      " of the lock '" + shown(fence.lock) + "' is older than " +
                      std::to_string(before.greatest.value()) + ", which has come since");
  }
  const Stamp end = at + kFenceKept;
  if (is_kept && fence.token == before.greatest && end - before.end < kEndStep) {
    return before;
  }
  return FenceMark{fence.token, is_kept ? std::max(before.end, end) : end};
}

}  // namespace quorate::service
