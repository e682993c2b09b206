// SPDX-License-Identifier: Apache-2.0
#include "server/access/audit.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cerrno>
#include <cstring>

#include "base/text.h"
#include "server/access/secrets.h"

namespace quorate::server {
namespace {

namespace json = boost::json;

constexpr std::string_view kChainField = ",\"chain\":\"";
constexpr size_t kLineBytesMax = 8 * 1024;
constexpr size_t kFieldBytesMax = 1024;

Status file_error(const std::string& path) {
  return {Code::kUnavailable, path + ": " + std::strerror(errno)};
}

// Names and paths come from outside and may be anything.
std::string shown(std::string_view text) {
  const std::string bounded(text.substr(0, kFieldBytesMax));
  return is_utf8(bounded) ? bounded : percent_encode(bounded);
}

// What stands before the chain, and the chain.
struct Line {
  std::string_view body;
  std::string_view chain;
};

bool take_apart(std::string_view line, Line& parts) {
  const size_t at = line.rfind(kChainField);
  if (at == std::string_view::npos || !line.ends_with("\"}")) {
    return false;
  }
  parts.body = line.substr(0, at);
  parts.chain = line.substr(at + kChainField.size());
  parts.chain.remove_suffix(2);
  return parts.chain.size() == kAuditStart.size();
}

std::string next_chain(std::string_view before, std::string_view body) {
  return hex(sha256(std::string(before).append(body)));
}

uint64_t number_of(std::string_view body) {
  boost::system::error_code error;
  const json::value value = json::parse(std::string(body) + "}", error);
  const json::value* number =
      error || !value.is_object() ? nullptr : value.get_object().if_contains("line");
  return number != nullptr && number->is_int64() ? static_cast<uint64_t>(number->get_int64()) : 0;
}

Result<std::string> read_tail(int file, uint64_t size, const std::string& path) {
  const uint64_t begin = size > kLineBytesMax ? size - kLineBytesMax : 0;
  std::string tail(size - begin, '\0');
  if (::pread(file, tail.data(), tail.size(), static_cast<off_t>(begin)) !=
      static_cast<ssize_t>(tail.size())) {
    return file_error(path);
  }
  return tail;
}

}  // namespace

Audit::Audit(const env::Clock& clock, std::string directory, uint32_t node)
    : clock_(clock), directory_(std::move(directory)), node_(node) {}

Audit::~Audit() {
  if (file_ >= 0) {
    sync();
    ::close(file_);
  }
}

Result<std::unique_ptr<Audit>> Audit::open(const env::Clock& clock, const std::string& directory,
                                           uint32_t node) {
  std::unique_ptr<Audit> audit(new Audit(clock, directory, node));
  RETURN_IF_ERROR(audit->open_file());
  return audit;
}

Status Audit::open_file() {
  const std::string path = directory_ + "/audit.log";
  file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  struct stat about {};
  if (file_ < 0 || ::fstat(file_, &about) != 0) {
    return file_error(path);
  }
  file_bytes_ = static_cast<uint64_t>(about.st_size);
  Result<std::string> tail = read_tail(file_, file_bytes_, path);
  RETURN_IF_ERROR(tail);
  // A line that a power cut has left unfinished was never whole; it goes.
  const size_t end = tail->rfind('\n');
  const size_t whole = end == std::string::npos ? 0 : end + 1;
  if (whole < tail->size()) {
    file_bytes_ -= tail->size() - whole;
    if (::ftruncate(file_, static_cast<off_t>(file_bytes_)) != 0) {
      return file_error(path);
    }
    tail->resize(whole);
  }
  if (tail->empty()) {
    return Status::success();
  }
  tail->pop_back();
  const size_t begin = tail->rfind('\n');
  Line line;
  const bool read =
      take_apart(std::string_view(*tail).substr(begin == std::string::npos ? 0 : begin + 1), line);
  const uint64_t number = read ? number_of(line.body) : 0;
  if (number == 0) {
    return {Code::kCorrupted, path + ": its last line is none of an audit log; move it away"};
  }
  next_ = number + 1;
  chain_ = line.chain;
  return Status::success();
}

void Audit::note(const AuditEvent& event) {
  const int64_t second = clock_.wall().millis() / 1000;
  if (second != second_) {
    second_ = second;
    in_second_ = 0;
  }
  if (++in_second_ > kLinesPerSecond) {
    ++left_out_;
    return;
  }
  append(event);
}

void Audit::append(const AuditEvent& event) {
  const json::object object = {{"line", next_},
                               {"at_ms", clock_.wall().millis()},
                               {"node", node_},
                               {"caller", shown(event.caller)},
                               {"peer", shown(event.peer)},
                               {"deed", shown(event.deed)},
                               {"outcome", shown(event.outcome)}};
  std::string body = json::serialize(object);
  body.pop_back();  // the brace
  std::string chain = next_chain(chain_, body);
  const std::string line = body + std::string(kChainField) + chain + "\"}\n";
  if (file_bytes_ + line.size() > kFileBytesMax) {
    begin_new_file();
  }
  if (::write(file_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
    failed_ = true;
    // Half a line would break the chain for all that follow.
    (void)!::ftruncate(file_, static_cast<off_t>(file_bytes_));
    ++left_out_;
    return;
  }
  failed_ = false;
  file_bytes_ += line.size();
  ++next_;
  chain_ = std::move(chain);
  unsynced_ = true;
}

void Audit::begin_new_file() {
  sync();
  const std::string path = directory_ + "/audit.log";
  const std::string kept = directory_ + "/audit-" + std::to_string(next_ - 1) + ".log";
  if (::rename(path.c_str(), kept.c_str()) != 0) {
    return;  // goes on in the old one
  }
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (file < 0) {
    (void)::rename(kept.c_str(), path.c_str());
    return;
  }
  ::close(file_);
  file_ = file;
  file_bytes_ = 0;
}

void Audit::sync() {
  if (left_out_ > 0) {
    const std::string deed = std::to_string(left_out_) + " more were not written down";
    left_out_ = 0;
    append({.caller = "", .peer = "", .deed = deed, .outcome = "flood"});
  }
  if (unsynced_) {
    failed_ = ::fdatasync(file_) != 0 || failed_;
    unsynced_ = false;
  }
}

Result<AuditReport> verify_audit(std::string_view text) {
  AuditReport report;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view whole = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    const uint64_t expected = report.last + 1;
    const auto broken = [&](const std::string& how) {
      return Status(Code::kCorrupted,
                    "line " + std::to_string(expected) + " " + how + ": the log was tampered with");
    };
    Line line;
    const uint64_t number = take_apart(whole, line) ? number_of(line.body) : 0;
    if (number == 0) {
      return broken("cannot be read");
    }
    const bool begins = report.last == 0;
    if (begins) {
      report.first = number;
    } else if (number != expected) {
      return broken("is missing");
    }
    // A file that was kept from a long history begins with a chain that only its forerunner knows.
    const bool known = !begins || number == 1;
    const std::string_view before = begins ? kAuditStart : std::string_view(report.chain);
    if (known && next_chain(before, line.body) != line.chain) {
      return broken("does not fit the chain");
    }
    report.last = number;
    report.chain = line.chain;
  }
  return report;
}

}  // namespace quorate::server
