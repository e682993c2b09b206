// SPDX-License-Identifier: Apache-2.0
#include "edge/http/bind_kv.h"

#include <memory>

#include "edge/http/arguments.h"
#include "edge/http/kv_rows.h"

namespace quorate::edge::http {
namespace {

// A row either answers, now or later, or says at once what is wrong with the request.
using Run = Status (KvRows::*)(const Asked&, const Responder&);

struct Row {
  RouteText text;
  Run run;
};

constexpr Parameter kKey = {"key", In::kPath, "string",
                            "Any bytes, percent-encoded; slashes may stand as they are."};
constexpr Parameter kTimeout = {"timeout", In::kQuery, "string",
                                "How long to wait, such as 2s (10s)."};
constexpr Parameter kIdempotency = {
    "Idempotency-Key", In::kHeader, "string",
    "Names this write: repeated with the same key it is done once and answered alike."};
constexpr Parameter kKeyspace = {"keyspace", In::kQuery, "string",
                                 "The keyspace (the default one); or the header Quorate-Keyspace."};
constexpr Parameter kTtl = {"ttl", In::kQuery, "string", "1500ms, 30s, 10m, 2h, 7d, or seconds."};
constexpr Parameter kIfVersion = {"if_version", In::kQuery, "integer",
                                  "Only if the key has this version (or: If-Match)."};
constexpr Parameter kIfModified = {"if_modified", In::kQuery, "integer",
                                   "Only if its last change had this revision."};
constexpr Parameter kIfValue = {"if_value", In::kQuery, "string",
                                "Only if the key has this value."};
constexpr Parameter kIfValueCoded = {"if_value_base64", In::kQuery, "string",
                                     "The same, for bytes that are not text."};
constexpr Parameter kPrevious = {"return_previous", In::kQuery, "boolean",
                                 "Answer what was there before."};
constexpr Parameter kFence = {
    "fence", In::kQuery, "string",
    "LOCK=TOKEN: only if no holder with a greater token has written here; or the header "
    "Quorate-Fence."};
constexpr Parameter kFenceDomain = {"fence_domain", In::kQuery, "integer",
                                    "The domain of that lock (0)."};
constexpr Parameter kConsistency = {"consistency", In::kQuery, "string",
                                    "linearizable (default), follower, bounded, eventual."};
constexpr Parameter kBound = {"bound", In::kQuery, "string",
                              "With consistency=bounded: how stale it may be, such as 100ms."};

constexpr Parameter kPut[] = {
    kKey,
    kTtl,
    {"keep_ttl", In::kQuery, "boolean", "Leave the expiry as it is."},
    {"if_absent", In::kQuery, "boolean", "Only if there is no such key (or: If-None-Match: *)."},
    {"if_present", In::kQuery, "boolean", "Only if there is such a key (or: If-Match: *)."},
    kIfVersion,
    kIfModified,
    kIfValue,
    kIfValueCoded,
    kPrevious,
    kFence,
    kFenceDomain,
    kKeyspace,
    kIdempotency,
    kTimeout};
constexpr Parameter kGet[] = {
    kKey,
    kConsistency,
    kBound,
    {"meta", In::kQuery, "boolean", "JSON without the value."},
    {"Accept", In::kHeader, "string", "application/json: value and all that is known, as JSON."},
    kKeyspace,
    kTimeout};
constexpr Parameter kDelete[] = {
    kKey,         {"if_present", In::kQuery, "boolean", "An absent key is an error."},
    kIfVersion,   kIfModified,
    kIfValue,     kIfValueCoded,
    kPrevious,    kFence,
    kFenceDomain, kKeyspace,
    kIdempotency, kTimeout};
constexpr Parameter kTouch[] = {
    kKey,
    kTtl,
    {"persist", In::kQuery, "boolean", "Let it never expire."},
    {"when", In::kQuery, "string",
     "always (default), if_forever, if_ending, if_later, if_sooner: by when it ends now."},
    kFence,
    kFenceDomain,
    kKeyspace,
    kIdempotency,
    kTimeout};
constexpr Parameter kIncrement[] = {
    kKey,         {"by", In::kQuery, "integer", "May be negative (1)."},
    kTtl,         kFence,
    kFenceDomain, kKeyspace,
    kIdempotency, kTimeout};
constexpr Parameter kAppend[] = {kKey, kFence, kFenceDomain, kKeyspace, kIdempotency, kTimeout};
constexpr Parameter kSetRange[] = {
    kKey,      {"offset", In::kQuery, "integer", "Where the body goes; a gap becomes zeros."},
    kFence,    kFenceDomain,
    kKeyspace, kIdempotency,
    kTimeout};
constexpr Parameter kWatch[] = {
    {"prefix", In::kQuery, "string", "Keys that begin so; nothing: every key."},
    {"prefix_base64", In::kQuery, "string", "The same, for bytes that are not text."},
    {"after", In::kQuery, "string",
     "A cursor of an earlier watch, or a revision where one group holds the prefix (now)."},
    {"format", In::kQuery, "string", "lines (default) or events."},
    kKeyspace,
    {"Accept", In::kHeader, "string", "text/event-stream: as format=events."},
    {"Last-Event-ID", In::kHeader, "string", "As after; browsers send it by themselves."}};
constexpr Parameter kWriteMany[] = {kFence, kFenceDomain, kKeyspace, kIdempotency, kTimeout};
constexpr Parameter kSettle[] = {kKeyspace, kIdempotency, kTimeout};
constexpr Parameter kDump[] = {kConsistency, kBound, kTimeout};
constexpr Parameter kReadMany[] = {kConsistency, kBound, kKeyspace, kTimeout};

constexpr std::string_view kItem =
    R"({"key":"a","value":"1","version":1,"created":7,"modified":7,"bytes":1,)"
    R"("expires_at_ms":null,"ttl_ms":null})";
constexpr std::string_view kItemsOrNone =
    R"({"items":[{"key":"a","value":"1","version":1,"created":7,"modified":7,"bytes":1,)"
    R"("expires_at_ms":null,"ttl_ms":null},null]})";
constexpr std::string_view kPage =
    R"({"items":[{"key":"a","value":"1","version":1,"created":7,"modified":7,"bytes":1,)"
    R"("expires_at_ms":null,"ttl_ms":null}],"resume":"a"})";

constexpr Row kRows[] = {
    {{Method::kPut, "/v1/kv/{key...}", "Keys and values",
      "Store the body, byte for byte. Durable on a majority when answered.", kPut, Body::kRaw,
      "hello", R"({"version":1,"revision":7})"},
     &KvRows::put},
    {{Method::kGet, "/v1/kv/{key...}", "Keys and values",
      "The value, byte for byte; with Accept: application/json all that is known.", kGet,
      Body::kNone, "", kItem, Access::kKnown, "", true},
     &KvRows::get},
    {{Method::kDelete, "/v1/kv/{key...}", "Keys and values",
      "Delete. What is not there is not an error; count tells.", kDelete, Body::kNone, "",
      R"({"count":1,"revision":8})"},
     &KvRows::remove},
    {{Method::kPost, "/v1/kv/{key...}/touch", "Keys and values",
      "Change when a key expires, and nothing else.", kTouch, Body::kNone, "",
      R"({"count":1,"expires_at_ms":1700000000000,"ttl_ms":30000})"},
     &KvRows::touch},
    {{Method::kPost, "/v1/kv/{key...}/increment", "Keys and values",
      "Add to a number kept as text, atomically; a missing key counts as 0.", kIncrement,
      Body::kNone, "", R"({"value":5,"version":3,"revision":9})"},
     &KvRows::increment},
    {{Method::kPost, "/v1/kv/{key...}/append", "Keys and values", "Append the body to the value.",
      kAppend, Body::kRaw, " world", R"({"version":2,"bytes":11,"revision":8})"},
     &KvRows::append},
    {{Method::kPost, "/v1/kv/{key...}/set_range", "Keys and values",
      "Overwrite a part of the value with the body.", kSetRange, Body::kRaw, "W",
      R"({"version":3,"bytes":11,"revision":9})"},
     &KvRows::set_range},
    {{Method::kPost, "/v1/kv:put_many", "Keys and values",
      "Store many, one round of consensus per group touched; bytes that are not text go into "
      "key_base64 and value_base64.",
      kWriteMany, Body::kJson,
      R"({"items":[{"key":"a","value":"1"},{"key":"b","value":"2","ttl":"30s"}]})",
      R"({"count":2})", Access::kKnown, R"({"if_all_absent":false})"},
     &KvRows::put_many},
    {{Method::kPost, "/v1/kv:get_many", "Keys and values",
      "Many values in the order asked; null for what is not there.", kReadMany, Body::kJson,
      R"({"keys":["a",{"key_base64":"AP8="}]})", kItemsOrNone, Access::kKnown,
      R"({"keys_only":false})"},
     &KvRows::get_many},
    {{Method::kPost, "/v1/kv:delete_many", "Keys and values", "Delete many.", kWriteMany,
      Body::kJson, R"({"keys":["a","b"]})", R"({"count":2})"},
     &KvRows::delete_many},
    {{Method::kPost, "/v1/kv:touch_many", "Keys and values",
      "Change when many keys expire: ttl or persist.", kWriteMany, Body::kJson,
      R"({"keys":["a","b"],"ttl":"30m"})", R"({"count":2})", Access::kKnown,
      R"({"persist":false})"},
     &KvRows::touch_many},
    {{Method::kPost, "/v1/kv:delete_range", "Keys and values",
      "Delete by prefix, or from start to before end, or all; at most limit keys of each group. If "
      "more are left, ask again.",
      kWriteMany, Body::kJson, R"({"prefix":"user:","limit":1000})", R"({"count":2,"more":false})",
      Access::kKnown,
      R"({"prefix_base64":"AP8=","start":"a","start_base64":"AA==","end":"b","end_base64":"/w==",)"
      R"("all":false})"},
     &KvRows::delete_range},
    {{Method::kPost, "/v1/kv:txn", "Keys and values",
      "Compare keys, then do one list of operations or the other, with nothing in between. All "
      "keys must live in one group: give them one {tag}. A compare names version, created, "
      "modified, value or exists; operations are get, put, delete, touch, increment, append, "
      "set_range. An operation that is refused answers its error; the others stand. The fence may "
      "stand in the body: \"fence\":{\"lock\":\"seats\",\"token\":7}.",
      kWriteMany, Body::kJson,
      R"({"compare":[{"key":"{u7}:seat","exists":false}],)"
      R"("then":[{"op":"put","key":"{u7}:seat","value":"12A"},)"
      R"({"op":"increment","key":"{u7}:count","by":1}],)"
      R"("else":[{"op":"get","key":"{u7}:seat"}]})",
      R"({"held":true,"revision":9,"answers":[{"version":1,"revision":8,"bytes":3},)"
      R"({"value":1,"version":1,"revision":9}]})",
      Access::kKnown, R"({"fence":{"lock":"seats","lock_base64":"AP8=","token":7,"domain":0}})"},
     &KvRows::txn},
    {{Method::kGet, "/v1/kv:watch", "Keys and values",
      "Changes as they happen, each once and in order per group, with the value before: JSON "
      "lines, or server-sent events. Every event has a cursor, with which any node goes on after "
      "it. If the history no longer reaches back: precondition_failed, with details.compacted.",
      kWatch, Body::kNone, "",
      R"({"type":"put","key":"a","value":"2","version":2,"previous":"1","revision":8,"group":3,)"
      R"("cursor":"3:8"})"},
     &KvRows::watch},
    {{Method::kPost, "/v1/kv:scan", "Keys and values",
      "One page of keys in order: by prefix, or from start to before end. To go on, pass resume.",
      kReadMany, Body::kJson, R"({"prefix":"user:","limit":100,"reverse":false,"keys_only":false})",
      kPage, Access::kKnown,
      R"({"prefix_base64":"AP8=","start":"a","start_base64":"AA==","end":"b","end_base64":"/w==",)"
      R"("resume":"user:7","resume_base64":"AP8="})"},
     &KvRows::scan},
    {{Method::kPost, "/v1/kv:dump", "Keys and values",
      "A page of all that one group holds, of every keyspace, for backups: go on with the cursor "
      "until it says complete; then what came, later entries over earlier ones, is the group as "
      "it was at that revision. precondition_failed: begin anew.",
      kDump, Body::kJson, R"({"group":1})",
      R"({"complete":false,"revision":9,"at_ms":1700000000000,"cursor":"BQ==",)"
      R"("entries":[{"keyspace":0,"key":"a",)"
      R"("value":"1","version":1},{"keyspace":0,"key":"b","gone":true}]})",
      Access::kAdmin, R"({"cursor":"BQ=="})"},
     &KvRows::dump},
    {{Method::kPost, "/v1/kv:trail", "Keys and values",
      "What changed in one group after a revision, in every keyspace and in order, each with its "
      "time: puts, deletes, ends, touches, settings of keyspaces and indexes. For archives; go on "
      "after through. precondition_failed: the history begins later.",
      kDump, Body::kJson, R"({"group":1,"after":9})",
      R"({"through":10,"revision":10,"at_ms":1700000000000,"changes":[{"type":"put","keyspace":0,)"
      R"("revision":10,"at_ms":1700000000000,"key":"a","value":"2","version":2}]})",
      Access::kAdmin, R"({"limit":1000})"},
     &KvRows::trail},
    {{Method::kPost, "/v1/kv:find", "Keys and values",
      "Keys by a field of their JSON values, in the order of the field and then of the key: "
      "equals, or from or above, and to or below, or all of the index. Of values only those of the "
      "kind "
      "asked for: numbers, text, or true and false.",
      kReadMany, Body::kJson, R"({"index":"ages","from":18,"below":65,"limit":100})", kPage,
      Access::kKnown,
      R"({"equals":null,"from":null,"above":null,"to":null,"below":null,"reverse":false,)"
      R"("keys_only":false,"resume":"CQ","resume_base64":"AP8="})"},
     &KvRows::find},
    {{Method::kGet, "/v1/kv:indexes", "Keys and values",
      "The indexes of a keyspace. Failed: it should be unique, and the key told here is one too "
      "many; drop it.",
      kReadMany, Body::kNone, "",
      R"({"indexes":[{"index":"ages","field":"user.age","unique":false,"state":"ready",)"
      R"("entries":2}]})"},
     &KvRows::indexes},
    {{Method::kPost, "/v1/kv:create_index", "Keys and values",
      "Declare an index on a field of JSON values: names with dots between them. It is built in "
      "the background and kept by every write from now on. A unique one refuses a write that would "
      "give a value to a second key, and needs a keyspace of one partition.",
      kSettle, Body::kJson, R"({"index":"ages","field":"user.age","unique":false})",
      R"({"changed":true})"},
     &KvRows::create_index},
    {{Method::kPost, "/v1/kv:drop_index", "Keys and values",
      "Drop an index; its memory comes back step by step.", kSettle, Body::kJson,
      R"({"index":"ages"})", R"({"changed":true})"},
     &KvRows::drop_index},
    {{Method::kPost, "/v1/kv:rate_limit", "Keys and values",
      "Take tokens from a bucket, decided in one atomic step.", kSettle, Body::kJson,
      R"({"name":"login:7","burst":10,"tokens":5,"period":"1s","cost":1})",
      R"({"allowed":true,"tokens_left":9,"retry_after_ms":0,"full_after_ms":200})"},
     &KvRows::rate_limit},
    {{Method::kGet, "/v1/kv:stats", "Keys and values", "How many keys and bytes there are.",
      kReadMany, Body::kNone, "", R"({"keys":2,"bytes":4,"expiring":1,"saved_bytes":0})"},
     &KvRows::stats},
};

}  // namespace

void bind_kv(const KvParts& parts, Router& router) {
  const auto rows = std::make_shared<KvRows>(parts.api, parts.clock, parts.timer);
  for (const Row& row : kRows) {
    router.add(row.text, [rows, &row, &keyspaces = parts.keyspaces](const Request& request,
                                                                    Responder responder) {
      if (const Status status = check_query(request, row.text); !status.ok()) {
        responder.fail(status);
        return;
      }
      // The request lives as long as its responder.
      const auto run = [rows, &row, &request, responder](const Status& found,
                                                         service::kv::KeyspaceId keyspace) {
        const Status status =
            found.ok() ? ((*rows).*row.run)({request, keyspace}, responder) : found;
        if (!status.ok()) {
          responder.fail(status);
        }
      };
      if (const auto name = argument(request, "keyspace", "Quorate-Keyspace")) {
        keyspaces.resolve(std::string(*name), run);
      } else {
        run({}, {});
      }
    });
  }
}

}  // namespace quorate::edge::http
