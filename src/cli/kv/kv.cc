// SPDX-License-Identifier: Apache-2.0
// quorate kv: the table of its commands.
#include "base/limits.h"
#include "cli/commands.h"
#include "cli/kv/kv_commands.h"

namespace quorate::cli {
namespace {

constexpr Flag kKeyspace = {"--keyspace", "NAME", "the keyspace (the default one)"};
constexpr Flag kConsistency = {"--consistency", "LEVEL",
                               "linearizable (default), follower, bounded or eventual"};
constexpr Flag kBound = {"--bound", "DURATION", "for bounded: how stale it may be, such as 100ms"};
constexpr Flag kTtl = {"--ttl", "DURATION", "1500ms, 30s, 10m, 2h, 7d, or seconds"};
constexpr Flag kPersist = {"--persist", "", "let it never expire"};
constexpr Flag kIfPresent = {"--if-present", "", "only if there is such a key"};
constexpr Flag kIfVersion = {"--if-version", "N", "only if the key has this version"};
constexpr Flag kIfModified = {"--if-modified", "REVISION",
                              "only if its last change had this revision"};
constexpr Flag kIfValue = {"--if-value", "VALUE", "only if the key has this value"};
constexpr Flag kPrefix = {"--prefix", "PREFIX", "keys that begin so"};
constexpr Flag kStart = {"--start", "KEY", "from this key on"};
constexpr Flag kEnd = {"--end", "KEY", "before this key"};
constexpr Flag kFence = {"--fence", "LOCK=TOKEN",
                         "only if no later holder of the lock has written there"};
constexpr Flag kFenceDomain = {"--fence-domain", "N", "the domain of that lock (0)"};
constexpr Flag kFile = {"--file", "FILE", "take it from a file (or -f)"};

constexpr Flag kPutFlags[] = {kTtl,
                              {"--keep-ttl", "", "leave the expiry as it is"},
                              {"--if-absent", "", "only if there is no such key"},
                              kIfPresent,
                              kIfVersion,
                              kIfModified,
                              kIfValue,
                              kFile,
                              kFence,
                              kFenceDomain,
                              kKeyspace};
constexpr Flag kGetFlags[] = {
    kConsistency, kBound, {"--meta", "", "also version, revisions, expiry and origin"}, kKeyspace};
constexpr Flag kReadFlags[] = {kConsistency, kBound, kKeyspace};
constexpr Flag kDelFlags[] = {kIfPresent, kIfVersion,   kIfModified, kIfValue,
                              kFence,     kFenceDomain, kKeyspace};
constexpr Flag kTouchFlags[] = {
    kTtl,
    kPersist,
    {"--when", "WHEN", "always (default), if_forever, if_ending, if_later, if_sooner"},
    kFence,
    kFenceDomain,
    kKeyspace};
constexpr Flag kKeyspaceOnly[] = {kKeyspace};
constexpr Flag kPersistFlags[] = {kFence, kFenceDomain, kKeyspace};
constexpr Flag kCountFlags[] = {kTtl, kFence, kFenceDomain, kKeyspace};
constexpr Flag kValueFlags[] = {kFile, kFence, kFenceDomain, kKeyspace};
constexpr Flag kPutManyFlags[] = {
    kTtl,
    {"--file", "FILE", "JSON lines: {\"key\",\"value\",\"ttl\"} (or -f)"},
    {"--if-all-absent", "", "only if none of the keys exists; all in one group"},
    kFence,
    kFenceDomain,
    kKeyspace};
constexpr Flag kTouchManyFlags[] = {kTtl, kPersist, kFence, kFenceDomain, kKeyspace};
constexpr Flag kScanFlags[] = {kPrefix,
                               kStart,
                               kEnd,
                               {"--limit", "N", "at most so many keys (1000)"},
                               {"--keys-only", "", "no values"},
                               {"--reverse", "", "from the last key to the first"},
                               kConsistency,
                               kBound,
                               kKeyspace};
constexpr Flag kDeleteRangeFlags[] = {kPrefix, kStart,       kEnd,     {"--all", "", "every key"},
                                      kFence,  kFenceDomain, kKeyspace};
constexpr Flag kRateLimitFlags[] = {{"--burst", "N", "tokens that the bucket holds (1)"},
                                    {"--tokens", "N", "tokens that it gains per period (1)"},
                                    {"--period", "DURATION", "1s, 1m, ... (1s)"},
                                    {"--cost", "N", "tokens to take (1)"},
                                    kKeyspace};
constexpr Flag kWatchFlags[] = {
    kPrefix,
    {"--after", "CURSOR", "go on after a cursor of an earlier watch (now)"},
    {"--count", "N", "end after so many changes"},
    kKeyspace};

constexpr Flag kExportFlags[] = {kPrefix, kConsistency, kBound, kKeyspace};

constexpr Flag kIndexFlags[] = {{"--unique", "", "one key per value; others are refused"},
                                kKeyspace};
constexpr Flag kFindFlags[] = {{"--from", "VALUE", "values from this one on"},
                               {"--above", "VALUE", "values greater than this one"},
                               {"--to", "VALUE", "values up to this one"},
                               {"--below", "VALUE", "values less than this one"},
                               {"--limit", "N", "at most so many keys (1000)"},
                               {"--keys-only", "", "no values"},
                               {"--reverse", "", "from the greatest value to the least"},
                               kConsistency,
                               kBound,
                               kKeyspace};

constexpr size_t kMany = limits::kBatchItemsMax;

const Command kCommands[] = {
    {"put", "KEY [VALUE|-]", "Store a value; from standard input if none is given.",
     "Durable on a majority when it returns. Examples:\n"
     "  quorate kv put greeting hello\n"
     "  quorate kv put session:42 '{\"user\":7}' --ttl 30m\n"
     "  quorate kv put lock me --if-absent --ttl 10s\n"
     "  quorate kv put report new --fence reports=$QUORATE_LOCK_TOKEN\n"
     "  tar c dir | quorate kv put backup -",
     kPutFlags, 1, 2, kv_put},
    {"get", "KEY", "Print a value, byte for byte.",
     "Examples:\n  quorate kv get greeting\n  quorate kv get greeting --meta\n"
     "  quorate kv get greeting --consistency bounded --bound 200ms",
     kGetFlags, 1, 1, kv_get},
    {"del", "KEY...", "Delete keys.",
     "Deleting what is not there is not an error, but for --if-present. Examples:\n"
     "  quorate kv del a b c\n  quorate kv del lock --if-value me",
     kDelFlags, 1, kMany, kv_del},
    {"cas", "KEY [VALUE|-]", "Compare and swap: a put with exactly one condition.",
     "Ends with 1 if the condition does not hold; nothing has changed then. Examples:\n"
     "  quorate kv cas seat taken --if-value free\n"
     "  quorate kv cas config '{...}' --if-version 7\n"
     "  quorate kv cas leader me --if-absent --ttl 10s",
     kPutFlags, 1, 2, kv_cas},
    {"exists", "KEY...", "Whether keys exist; ends with 1 if one of them does not.",
     "Example:\n  quorate kv exists ready && start", kReadFlags, 1, kMany, kv_exists},
    {"ttl", "KEY", "How long a key has to live.", "Example:\n  quorate kv ttl session:42",
     kReadFlags, 1, 1, kv_ttl},
    {"touch", "KEY", "Change when a key expires.",
     "Examples:\n  quorate kv touch session:42 --ttl 30m\n"
     "  quorate kv touch session:42 --ttl 30m --when if_later",
     kTouchFlags, 1, 1, kv_touch},
    {"persist", "KEY", "Let a key never expire.", "Example:\n  quorate kv persist session:42",
     kPersistFlags, 1, 1, kv_persist},
    {"incr", "KEY [N]", "Add to a number, atomically; the new value.",
     "A missing key counts as 0. Examples:\n  quorate kv incr visits\n"
     "  quorate kv incr visits 10 --ttl 1d",
     kCountFlags, 1, 2, kv_incr},
    {"decr", "KEY [N]", "Take from a number, atomically; the new value.",
     "Example:\n  quorate kv decr stock 3", kCountFlags, 1, 2, kv_decr},
    {"append", "KEY [VALUE|-]", "Append to a value.", "Example:\n  date | quorate kv append log -",
     kValueFlags, 1, 2, kv_append},
    {"set-range", "KEY OFFSET [VALUE|-]", "Overwrite a part of a value.",
     "A gap before the offset becomes zero bytes. Example:\n"
     "  quorate kv set-range page 128 hello",
     kValueFlags, 2, 3, kv_set_range},
    {"put-many", "[KEY=VALUE...|-]", "Store many; one round of consensus per group touched.",
     "Examples:\n  quorate kv put-many a=1 b=2 c=3\n  quorate kv put-many --file items.jsonl\n"
     "A line of the file: {\"key\":\"a\",\"value\":\"1\",\"ttl\":\"1h\"}; bytes that are not text "
     "go into\n\"key_base64\" and \"value_base64\".",
     kPutManyFlags, 0, kMany, kv_put_many},
    {"get-many", "KEY...", "Print many: key, tab, value; absent ones are left out.",
     "Example:\n  quorate kv get-many a b c", kReadFlags, 1, kMany, kv_get_many},
    {"touch-many", "KEY...", "Change when many keys expire.",
     "Example:\n  quorate kv touch-many s:1 s:2 --ttl 30m", kTouchManyFlags, 1, kMany,
     kv_touch_many},
    {"scan", "[PREFIX]", "List keys in order: key, tab, value.",
     "Examples:\n  quorate kv scan user: --limit 20\n"
     "  quorate kv scan --prefix user: --keys-only --reverse\n"
     "  quorate kv scan --start 2024-01 --end 2024-07",
     kScanFlags, 0, 1, kv_scan},
    {"find", "INDEX [VALUE]", "Find keys by a field of their JSON values.",
     "In the order of the values, then of the keys. A number, true, false and null are meant as\n"
     "in JSON, everything else is text. Examples:\n"
     "  quorate kv find mails ada@example.org\n"
     "  quorate kv find ages --from 18 --below 65 --reverse --limit 20",
     kFindFlags, 1, 2, kv_find},
    {"create-index", "INDEX FIELD", "Declare an index on a field of JSON values.",
     "Built in the background, kept by every write. FIELD is a name, or several with dots between\n"
     "them. Examples:\n"
     "  quorate kv create-index ages user.age\n"
     "  quorate kv create-index mails mail --unique --keyspace users",
     kIndexFlags, 2, 2, kv_create_index},
    {"drop-index", "INDEX", "Drop an index.", "Example:\n  quorate kv drop-index ages",
     kKeyspaceOnly, 1, 1, kv_drop_index},
    {"indexes", "", "The indexes of a keyspace and how far they are.",
     "Example:\n  quorate kv indexes --keyspace users", kReadFlags, 0, 0, kv_indexes},
    {"delete-range", "[PREFIX]", "Delete keys by prefix or range, in small steps.",
     "Examples:\n  quorate kv delete-range --prefix tmp/\n"
     "  quorate kv delete-range --start 2023 --end 2024\n  quorate kv delete-range --all",
     kDeleteRangeFlags, 0, 1, kv_delete_range},
    {"txn", "[JSON|-]", "Compare keys, then do one list of operations or the other.",
     "All keys in one group: give them one {tag}. Ends with 0 if 'then' was done, with 1 if "
     "'else'.\nExample of a FILE:\n"
     "  {\"compare\":[{\"key\":\"{u7}:seat\",\"exists\":false}],\n"
     "   \"then\":[{\"op\":\"put\",\"key\":\"{u7}:seat\",\"value\":\"12A\"},\n"
     "           {\"op\":\"increment\",\"key\":\"{u7}:count\"}],\n"
     "   \"else\":[{\"op\":\"get\",\"key\":\"{u7}:seat\"}]}\n"
     "A compare names version, created, modified, value or exists, and \"is\": =, !=, <, >.\n"
     "Operations: get, put, delete, touch, increment, append, set_range.\n"
     "  quorate kv txn -f book.json",
     kValueFlags, 0, 1, kv_txn},
    {"watch", "[PREFIX]", "Print changes as they happen: put, delete, expire.",
     "Goes on at another node when one is lost; each change comes once. With --json each line has\n"
     "the value before and a cursor. Ends with 1 if the history no longer reaches back to the\n"
     "cursor. Examples:\n  quorate kv watch user:\n"
     "  quorate kv watch --prefix '{u7}' --json --after 3:120",
     kWatchFlags, 0, 1, kv_watch},
    {"rate-limit", "NAME", "Take tokens from a bucket; ends with 1 if they are not there.",
     "Decided in one atomic step, over all clients. Example:\n"
     "  quorate kv rate-limit login:7 --burst 10 --tokens 5 --period 1m && login",
     kRateLimitFlags, 1, 1, kv_rate_limit},
    {"export", "[FILE|-]", "Write keys and values as JSON lines.",
     "A line: {\"key\":\"a\",\"value\":\"1\",\"version\":1,\"expires_at_ms\":...}; bytes that are\n"
     "not text go into \"key_base64\" and \"value_base64\". Page by page: keys that change\n"
     "meanwhile may be in it as before or after. For one moment per group: quorate backup.\n"
     "Example:\n"
     "  quorate kv export --prefix user: users.jsonl",
     kExportFlags, 0, 1, kv_export},
    {"import", "[FILE|-]", "Store JSON lines, as export writes them.",
     "A line may also say {\"key\":\"a\",\"gone\":true}, or \"ttl\":\"1h\" instead of an end. One "
     "with\n"
     "an unknown field is refused. Lines before one that is refused may be stored. Examples:\n"
     "  quorate kv import users.jsonl\n"
     "  quorate kv export --node a:8001 | quorate kv import --node b:8001",
     kKeyspaceOnly, 0, 1, kv_import},
    {"stats", "", "How many keys and bytes there are.", "Example:\n  quorate kv stats --json",
     kReadFlags, 0, 0, kv_stats},
};

}  // namespace

std::span<const Command> kv_commands() { return kCommands; }

Exit kv_main(const std::vector<std::string>& words, Io& io) {
  return run_command("kv", "Keys and values, replicated and durable.", kCommands, words, io);
}

}  // namespace quorate::cli
