// SPDX-License-Identifier: Apache-2.0
#include "edge/resp/session/table.h"

#include <algorithm>

namespace quorate::edge::resp {
namespace {

constexpr size_t kNameBytesMax = 32;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

bool fits(int arity, size_t arguments) {
  return arity >= 0 ? arguments == static_cast<size_t>(arity)
                    : arguments >= static_cast<size_t>(-arity);
}

std::string unknown(Arguments arguments) {
  constexpr size_t kShown = 128;
  std::string text = "ERR unknown command '" + std::string(arguments[0].substr(0, kShown)) +
                     "', with args beginning with: ";
  std::string shown;
  for (size_t at = 1; at < arguments.size() && shown.size() < kShown; ++at) {
    shown.append("'").append(arguments[at].substr(0, kShown - shown.size())).append("' ");
  }
  return text + shown;
}

}  // namespace

bool is_word(std::string_view argument, std::string_view lower_word) {
  return argument.size() == lower_word.size() &&
         std::equal(argument.begin(), argument.end(), lower_word.begin(),
                    [](char left, char right) { return lower(left) == right; });
}

std::string lower_case(std::string_view text) {
  std::string lowered(text);
  std::transform(lowered.begin(), lowered.end(), lowered.begin(), lower);
  return lowered;
}

std::string upper_case(std::string_view text) {
  std::string raised(text);
  std::transform(raised.begin(), raised.end(), raised.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - ('a' - 'A')) : c;
  });
  return raised;
}

void tell_failure(const Status& status, Reply& reply) {
  if (status.message() == service::kv::kWrongKind) {
    reply.error(kWrongType);
    return;
  }
  // What does not hold here is the number of an increment, which the machine says in Redis's words.
  const std::string_view word =
      status.code() == Code::kPreconditionFailed ? "ERR" : row_of(status.code()).resp;
  reply.error(std::string(word) + " " + status.message());
}

void tell_refusal(const Status& status, Reply& reply) {
  if (status.code() == Code::kPreconditionFailed) {
    reply.error(std::string(row_of(status.code()).resp) + " " + status.message());
  } else {
    tell_failure(status, reply);
  }
}

Table::Table(Families families, Metrics* metrics) : metrics_(metrics) {
  for (const std::span<const Row> family : families) {
    for (const Row& row : family) {
      Entry& entry = add(row, nullptr);
      commands_.push_back(&entry);
      by_name_.emplace(row.name, &entry);
      for (const Row& subcommand : row.subcommands) {
        entry.subcommands.push_back(&add(subcommand, &row));
      }
    }
  }
  std::sort(commands_.begin(), commands_.end(),
            [](const Entry* left, const Entry* right) { return left->name < right->name; });
}

Table::Entry& Table::add(const Row& row, const Row* parent) {
  Entry& entry = entries_.emplace_back();
  entry.row = &row;
  entry.parent = parent;
  entry.name = parent == nullptr ? std::string(row.name)
                                 : std::string(parent->name) + "|" + std::string(row.name);
  if (metrics_ != nullptr && row.subcommands.empty()) {
    entry.calls_total = &metrics_->counter("quorate_resp_commands_total",
                                           "Commands of Redis clients.", {{"command", entry.name}});
    if (row.run == nullptr) {
      entry.seconds = &metrics_->histogram(
          "quorate_resp_command_seconds",
          "From a command's arrival to its answer, of those that waited for the cluster.",
          Unit::kNanos, {{"command", entry.name}});
    }
  }
  return entry;
}

Table::Entry* Table::find(std::string_view name) {
  char lowered[kNameBytesMax];
  if (name.size() > kNameBytesMax) {
    return nullptr;
  }
  std::transform(name.begin(), name.end(), lowered, lower);
  const auto found = by_name_.find(std::string_view(lowered, name.size()));
  return found == by_name_.end() ? nullptr : found->second;
}

Table::Entry* Table::find(Arguments arguments, std::string& error) {
  Entry* entry = find(arguments[0]);
  if (entry == nullptr) {
    error = unknown(arguments);
    return nullptr;
  }
  if (!entry->subcommands.empty() && arguments.size() > 1) {
    const auto named =
        std::find_if(entry->subcommands.begin(), entry->subcommands.end(),
                     [&](const Entry* each) { return is_word(arguments[1], each->row->name); });
    // COMMAND alone is a command of its own; so is what a container does without a subcommand.
    if (named == entry->subcommands.end()) {
      error = "ERR unknown subcommand '" + std::string(arguments[1].substr(0, 128)) + "'. Try " +
              upper_case(entry->name) + " HELP.";
      return nullptr;
    }
    entry = *named;
  }
  const bool is_container = entry->row->build == nullptr && entry->row->run == nullptr &&
                            entry->row->start == nullptr && (entry->row->flags & kPrefix) == 0;
  if (is_container || !fits(entry->row->arity, arguments.size())) {
    ++entry->rejected;
    error = "ERR wrong number of arguments for '" + entry->name + "' command";
    return nullptr;
  }
  return entry;
}

void Table::forget_counts() {
  for (Entry& entry : entries_) {
    entry.calls = entry.rejected = 0;
  }
}

}  // namespace quorate::edge::resp
