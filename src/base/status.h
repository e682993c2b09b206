// SPDX-License-Identifier: Apache-2.0
// Status and Result: how anything that may fail says so. No exception crosses a folder.
//
// Three kinds of failure, never mixed: a refusal (deterministic, replicated as an answer), weather
// (I/O, network, time: retried or reported by node), a broken invariant (ASSERT). Status carries
// the first two. "May I retry?" is answered per code by one table, from which the HTTP and RESP
// faces and the docs take their columns.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/assert.h"

namespace quorate {

// The numbers are on the wire; append only.
enum class Code : uint8_t {
  kOk = 0,
  kNotFound = 1,
  kAlreadyExists = 2,
  kPreconditionFailed = 3,
  kInvalidArgument = 4,
  kTooLarge = 5,
  kResourceExhausted = 6,
  kNotLeader = 7,
  kUnavailable = 8,
  kTimeout = 9,
  kUnknownOutcome = 10,
  kDeadlock = 11,
  kLeaseLost = 12,
  kUnauthenticated = 13,
  kPermissionDenied = 14,
  kCorrupted = 15,
  kInternal = 16,
  kQuotaExceeded = 17,
};

enum class Retry : uint8_t {
  kNo,         // the same request will get the same answer
  kSafe,       // nothing happened; try again, after a pause
  kWithKey,    // it may have happened: retry only with the same session sequence or key
};

struct CodeRow {
  Code code;
  std::string_view name;      // as it stands in JSON and in the docs
  Retry retry;
  int http;                   // HTTP status
  std::string_view resp;      // first word of a RESP error
  std::string_view meaning;   // one sentence for the docs
};

// One row per code, in the order of the numbers.
[[nodiscard]] std::span<const CodeRow> code_table();
[[nodiscard]] const CodeRow& row_of(Code code);
[[nodiscard]] std::optional<Code> code_from_number(uint64_t number);
[[nodiscard]] std::string_view name_of(Retry retry);

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {}
  [[nodiscard]] static Status success() { return {}; }

  [[nodiscard]] bool ok() const { return code_ == Code::kOk; }
  [[nodiscard]] Code code() const { return code_; }
  [[nodiscard]] const std::string& message() const { return message_; }
  [[nodiscard]] std::string to_string() const;
  bool operator==(const Status&) const = default;

 private:
  Code code_ = Code::kOk;
  std::string message_;
};

// Exactly one of a value and a failed Status.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}  // NOLINT: a value is a result
  Result(Status status) : status_(std::move(status)) {  // NOLINT: so is a failure
    ASSERT(!status_.ok(), "a Result needs a value or a failure");
  }

  [[nodiscard]] bool ok() const { return value_.has_value(); }
  [[nodiscard]] const Status& status() const { return status_; }
  [[nodiscard]] T& value() & {
    ASSERT(ok(), status_.message().c_str());
    return *value_;
  }
  [[nodiscard]] const T& value() const& {
    ASSERT(ok(), status_.message().c_str());
    return *value_;
  }
  [[nodiscard]] T&& value() && {
    ASSERT(ok(), status_.message().c_str());
    return std::move(*value_);
  }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  operator Status() const { return status_; }  // NOLINT: lets RETURN_IF_ERROR pass it on

 private:
  std::optional<T> value_;
  Status status_;
};

}  // namespace quorate

// Early return of a Status, or of the Status inside a Result.
#define RETURN_IF_ERROR(expression)                                             \
  do {                                                                          \
    if (::quorate::Status status_ = (expression); !status_.ok()) [[unlikely]] { \
      return status_;                                                           \
    }                                                                           \
  } while (false)
