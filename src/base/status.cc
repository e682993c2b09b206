// SPDX-License-Identifier: Apache-2.0
#include "base/status.h"

#include <array>

namespace quorate {
namespace {

constexpr std::array<CodeRow, 18> kCodes = {{
    {Code::kOk, "ok", Retry::kNo, 200, "OK", "It was done."},
    {Code::kNotFound, "not_found", Retry::kNo, 404, "NOTFOUND", "What was named does not exist."},
    {Code::kAlreadyExists, "already_exists", Retry::kNo, 409, "EXISTS",
     "What was to be created exists already."},
    {Code::kPreconditionFailed, "precondition_failed", Retry::kNo, 412, "PRECONDITION",
     "A condition of the request does not hold; nothing changed."},
    {Code::kInvalidArgument, "invalid_argument", Retry::kNo, 400, "ERR",
     "The request itself is wrong; nothing changed."},
    {Code::kTooLarge, "too_large", Retry::kNo, 413, "TOOLARGE",
     "A key, value, batch or request is over its limit; nothing changed."},
    {Code::kResourceExhausted, "resource_exhausted", Retry::kSafe, 429, "BUSY",
     "A queue is full; nothing changed."},
    {Code::kNotLeader, "not_leader", Retry::kSafe, 421, "NOTLEADER",
     "This node does not lead the group and was told not to forward."},
    {Code::kUnavailable, "unavailable", Retry::kSafe, 503, "CLUSTERDOWN",
     "No leader can be reached; nothing was started."},
    {Code::kTimeout, "timeout", Retry::kSafe, 504, "TIMEOUT",
     "A wait or a read took too long; nothing changed."},
    {Code::kUnknownOutcome, "unknown_outcome", Retry::kWithKey, 504, "UNKNOWN",
     "The request may or may not have been done; only a retry with the same key can tell."},
    {Code::kDeadlock, "deadlock", Retry::kSafe, 409, "DEADLOCK",
     "Waiting would have closed a circle of waiters; this waiter was chosen to give way."},
    {Code::kLeaseLost, "lease_lost", Retry::kNo, 410, "LEASELOST",
     "The lease, token or receipt is no longer the newest."},
    {Code::kUnauthenticated, "unauthenticated", Retry::kNo, 401, "NOAUTH",
     "The caller did not show who it is."},
    {Code::kPermissionDenied, "permission_denied", Retry::kNo, 403, "NOPERM",
     "The caller is known and may not do this."},
    {Code::kCorrupted, "corrupted", Retry::kNo, 500, "CORRUPTED",
     "Stored or received bytes fail their checksum or their format."},
    {Code::kInternal, "internal", Retry::kNo, 500, "INTERNAL",
     "A fault of the server; its log says more."},
    {Code::kQuotaExceeded, "quota_exceeded", Retry::kNo, 507, "OOM",
     "A quota or a capacity is used up; nothing changed, and only making room helps."},
}};

}  // namespace

std::span<const CodeRow> code_table() { return kCodes; }

const CodeRow& row_of(Code code) {
  const auto number = static_cast<size_t>(code);
  ASSERT(number < kCodes.size());
  ASSERT(kCodes[number].code == code, "the table is in the order of the numbers");
  return kCodes[number];
}

std::optional<Code> code_from_number(uint64_t number) {
  if (number >= kCodes.size()) {
    return std::nullopt;
  }
  return static_cast<Code>(number);
}

std::string_view name_of(Retry retry) {
  switch (retry) {
    case Retry::kNo: return "no";
    case Retry::kSafe: return "safe";
    case Retry::kWithKey: return "with_key";
  }
  return "no";
}

std::string Status::to_string() const {
  std::string text(row_of(code_).name);
  if (!message_.empty()) {
    text += ": ";
    text += message_;
  }
  return text;
}

}  // namespace quorate
