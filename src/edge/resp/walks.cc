// SPDX-License-Identifier: Apache-2.0
// The commands that go through keys of all groups: SCAN, KEYS, DBSIZE, RANDOMKEY, FLUSHALL.
#include <charconv>

#include "base/assert.h"
#include "base/codec.h"
#include "base/limits.h"
#include "edge/resp/families.h"
#include "edge/resp/session/client.h"
#include "edge/resp/walk.h"
#include "service/value/glob.h"
#include "service/value/hash_value.h"

namespace quorate::edge::resp {
namespace {

namespace kv = service::kv;

using Owner = std::shared_ptr<Connection>;

void say(const Owner& owner, Ticket ticket, std::string_view error) {
  owner->finish(ticket, [error](Reply& reply) { reply.error(error); });
}

// ---- SCAN ---------------------------------------------------------------------------------------

struct ScanWords {
  std::string pattern = "*";
  uint64_t count = 10;
  enum class Type : uint8_t { kAny, kString, kHash, kNone };
  Type type = Type::kAny;
};

std::string parse_scan(Arguments arguments, ScanWords& words) {
  for (size_t at = 2; at < arguments.size(); at += 2) {
    if (at + 1 == arguments.size()) {
      return kSyntaxError;
    }
    const std::string_view value = arguments[at + 1];
    int64_t count = 0;
    if (is_word(arguments[at], "match")) {
      words.pattern = value;
    } else if (is_word(arguments[at], "type")) {
      using Type = ScanWords::Type;
      words.type = is_word(value, "string") ? Type::kString
                   : is_word(value, "hash") ? Type::kHash
                                            : Type::kNone;
    } else if (!is_word(arguments[at], "count")) {
      return kSyntaxError;
    } else if (!parse_integer(value, count)) {
      return kNotAnInteger;
    } else if (count < 1) {
      return kSyntaxError;
    } else {
      words.count = static_cast<uint64_t>(count);
    }
  }
  return {};
}

bool parse_cursor(std::string_view text, uint64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return !text.empty() && error == std::errc() && end == text.data() + text.size();
}

// What a cursor stands for: a group, and the last key of it that was looked at.
std::string place_of(GroupId group, std::string_view after) {
  std::string place;
  Writer writer(place);
  writer.id(group);
  writer.raw(after);
  return place;
}

struct Scanning {
  Owner owner;
  Ticket ticket = 0;
  Context* context = nullptr;
  ScanWords words;
  uint64_t looked_at = 0;
  std::vector<std::string> keys;
  std::string place;  // where the next one goes on; empty: all was seen

  // A page is looked at as a whole, so an answer may hold a few more than was asked for.
  bool on_page(GroupId group, const kv::Page& page) {
    looked_at += page.items.size();
    for (const kv::Item& item : page.items) {
      if (is_wanted(item) && service::matches(words.pattern, item.key)) {
        keys.emplace_back(item.key);
      }
    }
    const bool is_last = page.resume.empty() && group.value() == context->kv.proposer().groups();
    place = is_last               ? ""
            : page.resume.empty() ? place_of(group + 1, {})
                                  : place_of(group, page.resume);
    return looked_at < words.count;
  }

  // Where a type is asked for, pages come with the values, which tell it.
  [[nodiscard]] bool is_wanted(const kv::Item& item) const {
    using Type = ScanWords::Type;
    const Type type = service::is_hash(item.value) ? Type::kHash : Type::kString;
    return words.type == Type::kAny || words.type == type;
  }

  void on_end(const Status& status) {
    const uint64_t cursor = place.empty() ? 0 : context->cursors.remember(place);
    owner->finish(ticket, [&](Reply& reply) {
      if (!status.ok()) {
        tell_failure(status, reply);
        return;
      }
      reply.array(2);
      reply.bulk(std::to_string(cursor));
      reply.array(keys.size());
      for (const std::string& key : keys) {
        reply.bulk(key);
      }
    });
  }
};

void start_scan(Client& client, Arguments arguments, Ticket ticket) {
  Context& context = client.context();
  const Owner owner = client.connection().shared_from_this();
  uint64_t cursor = 0;
  if (!parse_cursor(arguments[1], cursor)) {
    say(owner, ticket, "ERR invalid cursor");
    return;
  }
  auto scanning = std::make_shared<Scanning>();
  if (const std::string error = parse_scan(arguments, scanning->words); !error.empty()) {
    say(owner, ticket, error);
    return;
  }
  Walk::Plan plan;
  plan.caller = client.caller();
  plan.last = GroupId(context.kv.proposer().groups());
  plan.prefix = service::literal_prefix(scanning->words.pattern);
  plan.page_items = std::min<uint64_t>(scanning->words.count, limits::kScanItemsMax);
  plan.with_values = scanning->words.type == ScanWords::Type::kString ||
                     scanning->words.type == ScanWords::Type::kHash;
  if (cursor != 0) {
    const std::optional<std::string> place = context.cursors.find(cursor);
    if (!place.has_value()) {
      say(owner, ticket, "ERR invalid cursor");
      return;
    }
    Reader reader(*place);
    plan.begin = reader.id<GroupId>();
    plan.after = reader.rest();
  }
  scanning->owner = owner;
  scanning->ticket = ticket;
  scanning->context = &context;
  Walk::start(
      context.kv, std::move(plan),
      [scanning](GroupId group, const kv::Page& page) { return scanning->on_page(group, page); },
      [scanning](const Status& status) { scanning->on_end(status); });
}

// ---- KEYS ---------------------------------------------------------------------------------------

struct Listing {
  std::string pattern;
  std::vector<std::string> keys;
  size_t bytes = 0;
  bool is_over = false;
};

void start_keys(Client& client, Arguments arguments, Ticket ticket) {
  auto listing = std::make_shared<Listing>();
  listing->pattern = arguments[1];
  Walk::Plan plan;
  plan.caller = client.caller();
  plan.last = GroupId(client.context().kv.proposer().groups());
  plan.prefix = service::literal_prefix(listing->pattern);
  Walk::start(
      client.context().kv, std::move(plan),
      [listing](GroupId, const kv::Page& page) {
        for (const kv::Item& item : page.items) {
          if (service::matches(listing->pattern, item.key)) {
            listing->keys.emplace_back(item.key);
            listing->bytes += item.key.size() + sizeof(std::string);
          }
        }
        listing->is_over = listing->bytes > limits::kRespKeysBytesMax;
        return !listing->is_over;
      },
      [listing, ticket, owner = client.connection().shared_from_this()](const Status& status) {
        owner->finish(ticket, [&](Reply& reply) {
          if (!status.ok()) {
            tell_failure(status, reply);
            return;
          }
          if (listing->is_over) {
            reply.error(
                "TOOLARGE there are too many keys for one answer; SCAN gives them in parts");
            return;
          }
          reply.array(listing->keys.size());
          for (const std::string& key : listing->keys) {
            reply.bulk(key);
          }
        });
      });
}

// ---- DBSIZE, RANDOMKEY, FLUSHALL ----------------------------------------------------------------

void start_dbsize(Client& client, Arguments, Ticket ticket) {
  client.context().kv.stats(
      {}, {.caller = client.caller()},
      [ticket, owner = client.connection().shared_from_this()](
          const Status& status, const kv::Usage& usage, const service::Origin&) {
        owner->finish(ticket, [&](Reply& reply) {
          status.ok() ? reply.integer(static_cast<int64_t>(usage.keys))
                      : tell_failure(status, reply);
        });
      });
}

// Looks for a key behind a random text in a random group, then from the beginning of each. Keys
// that stand far from their neighbours are found more often than others.
void start_randomkey(Client& client, Arguments, Ticket ticket) {
  Context& context = client.context();
  const uint64_t chance = hash64("random key", ++context.random);
  const uint32_t groups = context.kv.proposer().groups();
  auto found = std::make_shared<std::string>();
  const auto take = [found](GroupId, const kv::Page& page) {
    if (!page.items.empty()) {
      *found = page.items.front().key;
    }
    return page.items.empty();
  };
  const auto tell = [found, ticket,
                     owner = client.connection().shared_from_this()](const Status& status) {
    owner->finish(ticket, [&](Reply& reply) {
      if (!status.ok()) {
        tell_failure(status, reply);
      } else {
        found->empty() ? reply.null() : reply.bulk(*found);
      }
    });
  };
  Walk::Plan plan;
  plan.caller = client.caller();
  plan.begin = GroupId(1 + static_cast<uint32_t>(chance % groups));
  plan.last = GroupId(groups);
  plan.page_items = 1;
  plan.after = std::string(1, static_cast<char>(chance >> 32)) + static_cast<char>(chance >> 40);
  Walk::start(context.kv, plan, take, [&context, groups, found, take, tell](const Status& status) {
    if (!status.ok() || !found->empty()) {
      tell(status);
      return;
    }
    Walk::Plan all;
    all.last = GroupId(groups);
    all.page_items = 1;
    Walk::start(context.kv, all, take, tell);
  });
}

// Deletes what there is when it begins, in batches; keys that come while it goes on may go too.
void flush(Context& context, const Owner& owner, Ticket ticket, const Caller* caller) {
  context.kv.delete_range(
      {}, {.caller = caller},
      [&context, owner, ticket](const Status& status, const kv::Removed& removed,
                                const service::Origin&) {
        if (status.ok() && removed.more) {
          flush(context, owner, ticket, nullptr);  // who began may go on
          return;
        }
        owner->finish(
            ticket, [&](Reply& reply) { status.ok() ? reply.ok() : tell_failure(status, reply); });
      });
}

void start_flush(Client& client, Arguments arguments, Ticket ticket) {
  const Owner owner = client.connection().shared_from_this();
  const bool is_known =
      arguments.size() == 1 || is_word(arguments[1], "async") || is_word(arguments[1], "sync");
  if (!is_known || arguments.size() > 2) {
    say(owner, ticket, kSyntaxError);
    return;
  }
  flush(client.context(), owner, ticket, client.caller());
}

constexpr Row kRows[] = {
    {"scan", -2, kReadOnly, 0, 0, 0, "generic", "2.8.0", "Goes through the keys in parts.", nullptr,
     nullptr, start_scan},
    {"keys", 2, kReadOnly, 0, 0, 0, "generic", "1.0.0", "Lists the keys that match a pattern.",
     nullptr, nullptr, start_keys},
    {"dbsize", 1, kReadOnly | kFast, 0, 0, 0, "server", "1.0.0", "Counts the keys.", nullptr,
     nullptr, start_dbsize},
    {"randomkey", 1, kReadOnly, 0, 0, 0, "generic", "1.0.0", "Gives some key.", nullptr, nullptr,
     start_randomkey},
    {"flushall", -1, kWrite, 0, 0, 0, "server", "1.0.0", "Deletes all keys.", nullptr, nullptr,
     start_flush},
    {"flushdb", -1, kWrite, 0, 0, 0, "server", "1.0.0", "Deletes all keys.", nullptr, nullptr,
     start_flush},
};

}  // namespace

std::span<const Row> walk_rows() { return kRows; }

}  // namespace quorate::edge::resp
