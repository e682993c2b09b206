// SPDX-License-Identifier: Apache-2.0
#include "clients/cpp/wire/reply.h"

#include <charconv>
#include <optional>

namespace quorate::wire {
namespace {

constexpr std::string_view kEnd = "\r\n";

std::optional<int64_t> number_of(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole ? std::optional<int64_t>(number) : std::nullopt;
}

Reply text_reply(std::string_view text) {
  Reply reply;
  reply.kind = Reply::Kind::kText;
  reply.text = text;
  return reply;
}

}  // namespace

Status status_of_error(std::string_view text) {
  const std::string_view word = text.substr(0, text.find(' '));
  Code code = Code::kInvalidArgument;
  for (const CodeRow& row : code_table()) {
    if (row.resp == word && row.code != Code::kOk) {
      code = row.code;
    }
  }
  if (word == "WRONGPASS") {
    code = Code::kUnauthenticated;
  }
  return Status(code, std::string(text));
}

ReplyParser::Step ReplyParser::take(std::string_view& bytes, Parsed& out) {
  while (true) {
    Parsed one = Reply{};
    const size_t depth = open_.size();
    const Step step = value(bytes, one);
    if (step != Step::kReply) {
      return step;
    }
    if (open_.size() > depth) {
      continue;  // an array has begun, its items follow
    }
    while (true) {
      if (open_.empty()) {
        out = std::move(one);
        return Step::kReply;
      }
      Open& around = open_.back();
      if (one.ok()) {
        around.array.items.push_back(std::move(*one));
      } else {
        around.array.items.push_back(text_reply(one.status().message()));
      }
      if (--around.left > 0) {
        break;
      }
      one = std::move(around.array);
      open_.pop_back();
    }
  }
}

ReplyParser::Step ReplyParser::value(std::string_view& bytes, Parsed& out) {
  const size_t line = bytes.find(kEnd);
  if (line == std::string_view::npos) {
    return bytes.size() > kLineBytesMax ? Step::kBroken : Step::kMore;
  }
  if (line == 0) {
    return Step::kBroken;
  }
  const std::string_view rest = bytes.substr(1, line - 1);
  switch (bytes.front()) {
    case '+': out = text_reply(rest); break;
    case '-': out = status_of_error(rest); break;
    case ':': {
      const std::optional<int64_t> number = number_of(rest);
      if (!number.has_value()) {
        return Step::kBroken;
      }
      Reply reply;
      reply.kind = Reply::Kind::kInteger;
      reply.integer = *number;
      out = std::move(reply);
      break;
    }
    case '$': return text(bytes, rest, line, out);
    case '*': {
      const Step step = array(rest, out);
      if (step == Step::kReply) {
        bytes.remove_prefix(line + kEnd.size());
      }
      return step;
    }
    default: return Step::kBroken;
  }
  bytes.remove_prefix(line + kEnd.size());
  return Step::kReply;
}

ReplyParser::Step ReplyParser::text(std::string_view& bytes, std::string_view number, size_t line,
                                    Parsed& out) {
  const std::optional<int64_t> size = number_of(number);
  if (!size.has_value() || *size < -1 || *size > static_cast<int64_t>(kTextBytesMax)) {
    return Step::kBroken;
  }
  const size_t begin = line + kEnd.size();
  if (*size == -1) {
    out = Reply{};
    bytes.remove_prefix(begin);
    return Step::kReply;
  }
  const size_t length = static_cast<size_t>(*size);
  if (bytes.size() < begin + length + kEnd.size()) {
    return Step::kMore;
  }
  if (bytes.substr(begin + length, kEnd.size()) != kEnd) {
    return Step::kBroken;
  }
  out = text_reply(bytes.substr(begin, length));
  bytes.remove_prefix(begin + length + kEnd.size());
  return Step::kReply;
}

ReplyParser::Step ReplyParser::array(std::string_view number, Parsed& out) {
  const std::optional<int64_t> size = number_of(number);
  if (!size.has_value() || *size < -1 || *size > static_cast<int64_t>(kItemsMax)) {
    return Step::kBroken;
  }
  Reply reply;
  reply.kind = *size == -1 ? Reply::Kind::kNull : Reply::Kind::kArray;
  if (*size <= 0) {
    out = std::move(reply);
    return Step::kReply;
  }
  if (open_.size() == kDepthMax) {
    return Step::kBroken;
  }
  open_.push_back({std::move(reply), static_cast<size_t>(*size)});
  return Step::kReply;
}

void append_command(const std::vector<std::string_view>& words, std::string& out) {
  out += '*';
  out += std::to_string(words.size());
  out += kEnd;
  for (const std::string_view word : words) {
    out += '$';
    out += std::to_string(word.size());
    out += kEnd;
    out += word;
    out += kEnd;
  }
}

}  // namespace quorate::wire
