// SPDX-License-Identifier: Apache-2.0
#include "edge/resp/command_docs.h"

#include "edge/resp/help.h"
#include "edge/resp/session/client.h"
#include "service/value/glob.h"

namespace quorate::edge::resp {
namespace {

struct FlagName {
  uint32_t flag;
  std::string_view name;
};

constexpr FlagName kFlagNames[] = {
    {kWrite, "write"},       {kReadOnly, "readonly"}, {kDenyOom, "denyoom"},      {kFast, "fast"},
    {kAdmin, "admin"},       {kNoAuth, "no_auth"},    {kLoading, "loading"},      {kStale, "stale"},
    {kNoScript, "noscript"}, {kNoMulti, "no_multi"},  {kAllowBusy, "allow_busy"},
};

std::vector<std::string_view> flags_of(const Row& row) {
  std::vector<std::string_view> names;
  for (const FlagName& each : kFlagNames) {
    if ((row.flags & each.flag) != 0) {
      names.push_back(each.name);
    }
  }
  return names;
}

// As ACL would name the kinds of command.
std::vector<std::string> categories_of(const Row& row) {
  std::vector<std::string> names;
  if (row.first_key > 0) {
    names.emplace_back("@keyspace");
  }
  if ((row.flags & kWrite) != 0) {
    names.emplace_back("@write");
  }
  if ((row.flags & kReadOnly) != 0) {
    names.emplace_back("@read");
  }
  if ((row.flags & kAdmin) != 0) {
    names.emplace_back("@admin");
    names.emplace_back("@dangerous");
  }
  if (row.group == "string" || row.group == "hash" || row.group == "connection") {
    names.push_back("@" + std::string(row.group));
  }
  names.emplace_back((row.flags & kFast) != 0 ? "@fast" : "@slow");
  return names;
}

void tell_key_specs(const Row& row, Reply& reply) {
  if (row.first_key == 0) {
    reply.array(0);
    return;
  }
  reply.array(1);
  reply.map(3);
  reply.bulk("flags");
  reply.set(1);
  reply.simple((row.flags & kWrite) != 0 ? "RW" : "RO");
  reply.bulk("begin_search");
  reply.map(2);
  reply.bulk("type");
  reply.bulk("index");
  reply.bulk("spec");
  reply.map(1);
  reply.bulk("index");
  reply.integer(row.first_key);
  reply.bulk("find_keys");
  reply.map(2);
  reply.bulk("type");
  reply.bulk("range");
  reply.bulk("spec");
  reply.map(3);
  reply.bulk("lastkey");
  reply.integer(row.last_key < 0 ? row.last_key : row.last_key - row.first_key);
  reply.bulk("keystep");
  reply.integer(row.key_step);
  reply.bulk("limit");
  reply.integer(0);
}

void tell_info(const Table::Entry& entry, Reply& reply) {
  const Row& row = *entry.row;
  reply.array(10);
  reply.bulk(entry.name);
  reply.integer(row.arity);
  const std::vector<std::string_view> flags = flags_of(row);
  reply.set(flags.size());
  for (const std::string_view flag : flags) {
    reply.simple(flag);
  }
  reply.integer(row.first_key);
  reply.integer(row.last_key);
  reply.integer(row.key_step);
  const std::vector<std::string> categories = categories_of(row);
  reply.set(categories.size());
  for (const std::string& category : categories) {
    reply.simple(category);
  }
  reply.array(0);  // tips
  tell_key_specs(row, reply);
  reply.array(entry.subcommands.size());
  for (const Table::Entry* subcommand : entry.subcommands) {
    tell_info(*subcommand, reply);
  }
}

void tell_docs(const Table::Entry& entry, Reply& reply) {
  reply.bulk(entry.name);
  const bool has_parts = !entry.subcommands.empty();
  reply.map(has_parts ? 4 : 3);
  reply.bulk("summary");
  reply.bulk(entry.row->summary);
  reply.bulk("since");
  reply.bulk(entry.row->since);
  reply.bulk("group");
  reply.bulk(entry.row->group);
  if (has_parts) {
    reply.bulk("subcommands");
    reply.map(entry.subcommands.size());
    for (const Table::Entry* subcommand : entry.subcommands) {
      tell_docs(*subcommand, reply);
    }
  }
}

// "name" or "name|subcommand".
const Table::Entry* named(Table& table, std::string_view name) {
  const size_t bar = name.find('|');
  const Table::Entry* const entry = table.find(name.substr(0, bar));
  if (entry == nullptr || bar == std::string_view::npos) {
    return entry;
  }
  for (const Table::Entry* subcommand : entry->subcommands) {
    if (is_word(name.substr(bar + 1), subcommand->row->name)) {
      return subcommand;
    }
  }
  return nullptr;
}

}  // namespace

void run_command(Client& client, Arguments, Reply& reply) {
  const std::vector<Table::Entry*>& commands = client.context().table.commands();
  reply.array(commands.size());
  for (const Table::Entry* entry : commands) {
    tell_info(*entry, reply);
  }
}

void run_command_count(Client& client, Arguments, Reply& reply) {
  reply.integer(static_cast<int64_t>(client.context().table.commands().size()));
}

void run_command_info(Client& client, Arguments arguments, Reply& reply) {
  if (arguments.size() == 2) {
    run_command(client, arguments, reply);
    return;
  }
  reply.array(arguments.size() - 2);
  for (const std::string_view name : arguments.subspan(2)) {
    const Table::Entry* const entry = named(client.context().table, name);
    entry == nullptr ? reply.null() : tell_info(*entry, reply);
  }
}

void run_command_docs(Client& client, Arguments arguments, Reply& reply) {
  std::vector<const Table::Entry*> wanted;
  if (arguments.size() == 2) {
    const std::vector<Table::Entry*>& commands = client.context().table.commands();
    wanted.assign(commands.begin(), commands.end());
  }
  for (const std::string_view name : arguments.subspan(2)) {
    if (const Table::Entry* const entry = named(client.context().table, name)) {
      wanted.push_back(entry);
    }
  }
  reply.map(wanted.size());
  for (const Table::Entry* entry : wanted) {
    tell_docs(*entry, reply);
  }
}

void run_command_list(Client& client, Arguments arguments, Reply& reply) {
  const bool is_filtered = arguments.size() == 5 && is_word(arguments[2], "filterby");
  const bool by_pattern = is_filtered && is_word(arguments[3], "pattern");
  const bool by_category = is_filtered && is_word(arguments[3], "aclcat");
  const bool by_module = is_filtered && is_word(arguments[3], "module");  // there are none
  if (arguments.size() > 2 && !by_pattern && !by_category && !by_module) {
    reply.error(kSyntaxError);
    return;
  }
  const std::string wanted = is_filtered ? lower_case(arguments[4]) : "";
  std::vector<std::string_view> names;
  for (const Table::Entry* entry : client.context().table.commands()) {
    const std::vector<std::string> categories = categories_of(*entry->row);
    if (by_pattern ? service::matches(wanted, entry->name)
        : by_category
            ? std::find(categories.begin(), categories.end(), "@" + wanted) != categories.end()
            : !by_module) {
      names.push_back(entry->name);
    }
  }
  reply.array(names.size());
  for (const std::string_view name : names) {
    reply.bulk(name);
  }
}

namespace {

// The keys of the command that stands behind COMMAND GETKEYS; empty if it has none, and `reply`
// has said so.
std::vector<std::string_view> keys_of(Client& client, Arguments whole, const Row*& found,
                                      Reply& reply) {
  std::string error;
  const Table::Entry* const entry = client.context().table.find(whole, error);
  if (entry == nullptr) {
    reply.error(error.starts_with("ERR wrong")
                    ? "ERR Invalid number of arguments specified for command"
                    : "ERR Invalid command specified");
    return {};
  }
  const Row& row = *entry->row;
  found = &row;
  if (row.first_key == 0) {
    reply.error("ERR The command has no key arguments");
    return {};
  }
  const auto count = static_cast<int>(whole.size());
  const int last = row.last_key < 0 ? count + row.last_key : row.last_key;
  std::vector<std::string_view> keys;
  for (int at = row.first_key; at <= last && at < count; at += row.key_step) {
    keys.push_back(whole[static_cast<size_t>(at)]);
  }
  return keys;
}

}  // namespace

void run_command_getkeys(Client& client, Arguments arguments, Reply& reply) {
  const Row* row = nullptr;
  const std::vector<std::string_view> keys = keys_of(client, arguments.subspan(2), row, reply);
  if (!keys.empty()) {
    reply.array(keys.size());
  }
  for (const std::string_view key : keys) {
    reply.bulk(key);
  }
}

void run_command_getkeysandflags(Client& client, Arguments arguments, Reply& reply) {
  const Row* row = nullptr;
  const std::vector<std::string_view> keys = keys_of(client, arguments.subspan(2), row, reply);
  if (!keys.empty()) {
    reply.array(keys.size());
  }
  for (const std::string_view key : keys) {
    reply.array(2);
    reply.bulk(key);
    reply.set(1);
    reply.simple((row->flags & kWrite) != 0 ? "RW" : "RO");
  }
}

void run_help(Client& client, Arguments arguments, Reply& reply) {
  const Table::Entry* const entry = client.context().table.find(arguments[0]);
  std::vector<std::string> lines;
  lines.push_back(upper_case(entry->name) +
                  " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
  for (const Table::Entry* subcommand : entry->subcommands) {
    lines.push_back(upper_case(subcommand->row->name));
    lines.push_back("    " + std::string(subcommand->row->summary));
  }
  reply.array(lines.size());
  for (const std::string& line : lines) {
    reply.simple(line);
  }
}

}  // namespace quorate::edge::resp
