// SPDX-License-Identifier: Apache-2.0
#include "edge/http/bind_kv.h"

#include <memory>

#include "edge/http/kv_rows.h"

namespace quorate::edge::http {
namespace {

// A row either answers, now or later, or says at once what is wrong with the request.
using Run = Status (KvRows::*)(const Request&, const Responder&);

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
constexpr Parameter kTtl = {"ttl", In::kQuery, "string", "1500ms, 30s, 10m, 2h, 7d, or seconds."};
constexpr Parameter kIfVersion = {"if_version", In::kQuery, "integer",
                                  "Only if the key has this version (or: If-Match)."};
constexpr Parameter kPrevious = {"return_previous", In::kQuery, "boolean",
                                 "Answer what was there before."};
constexpr Parameter kConsistency = {"consistency", In::kQuery, "string",
                                    "linearizable (default), follower, bounded, eventual."};
constexpr Parameter kBound = {"bound", In::kQuery, "string",
                              "With consistency=bounded: how stale it may be, such as 100ms."};

constexpr Parameter kPut[] = {
    kKey, kTtl,
    {"keep_ttl", In::kQuery, "boolean", "Leave the expiry as it is."},
    {"if_absent", In::kQuery, "boolean", "Only if there is no such key (or: If-None-Match: *)."},
    {"if_present", In::kQuery, "boolean", "Only if there is such a key (or: If-Match: *)."},
    kIfVersion, kPrevious, kIdempotency, kTimeout};
constexpr Parameter kGet[] = {
    kKey, kConsistency, kBound,
    {"meta", In::kQuery, "boolean", "JSON without the value."},
    {"Accept", In::kHeader, "string", "application/json: value and all that is known, as JSON."},
    kTimeout};
constexpr Parameter kDelete[] = {kKey, kIfVersion, kPrevious, kIdempotency, kTimeout};
constexpr Parameter kTouch[] = {
    kKey, kTtl, {"persist", In::kQuery, "boolean", "Let it never expire."}, kIdempotency, kTimeout};
constexpr Parameter kIncrement[] = {
    kKey, {"by", In::kQuery, "integer", "May be negative (1)."}, kTtl, kIdempotency, kTimeout};
constexpr Parameter kAppend[] = {kKey, kIdempotency, kTimeout};
constexpr Parameter kWriteMany[] = {kIdempotency, kTimeout};
constexpr Parameter kReadMany[] = {kConsistency, kBound, kTimeout};

constexpr std::string_view kItem =
    R"({"key":"a","value":"1","version":1,"created":7,"modified":7,"bytes":1,)"
    R"("expires_at_ms":null,"ttl_ms":null})";
constexpr std::string_view kItems =
    R"({"items":[{"key":"a","value":"1","version":1,"created":7,"modified":7,"bytes":1,)"
    R"("expires_at_ms":null,"ttl_ms":null}]})";

constexpr Row kRows[] = {
    {{Method::kPut, "/v1/kv/{key...}", "Keys and values",
      "Store the body, byte for byte. Durable on a majority when answered.", kPut, Body::kRaw,
      "hello", R"({"version":1,"revision":7})"},
     &KvRows::put},
    {{Method::kGet, "/v1/kv/{key...}", "Keys and values",
      "The value, byte for byte; with Accept: application/json all that is known.", kGet,
      Body::kNone, "", kItem},
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
    {{Method::kPost, "/v1/kv/{key...}/append", "Keys and values",
      "Append the body to the value.", kAppend, Body::kRaw, " world",
      R"({"version":2,"bytes":11,"revision":8})"},
     &KvRows::append},
    {{Method::kPost, "/v1/kv:put_many", "Keys and values",
      "Store many, one round of consensus per group touched; bytes that are not text go into "
      "key_base64 and value_base64.",
      kWriteMany, Body::kJson,
      R"({"items":[{"key":"a","value":"1"},{"key":"b","value":"2","ttl":"30s"}]})",
      R"({"count":2})"},
     &KvRows::put_many},
    {{Method::kPost, "/v1/kv:get_many", "Keys and values",
      "Many values in the order asked; null for what is not there.", kReadMany, Body::kJson,
      R"({"keys":["a",{"key_base64":"AP8="}]})", kItems},
     &KvRows::get_many},
    {{Method::kPost, "/v1/kv:delete_many", "Keys and values", "Delete many.", kWriteMany,
      Body::kJson, R"({"keys":["a","b"]})", R"({"count":2})"},
     &KvRows::delete_many},
    {{Method::kPost, "/v1/kv:touch_many", "Keys and values",
      "Change when many keys expire: ttl or persist.", kWriteMany, Body::kJson,
      R"({"keys":["a","b"],"ttl":"30m"})", R"({"count":2})"},
     &KvRows::touch_many},
    {{Method::kPost, "/v1/kv:scan", "Keys and values",
      "One page of keys in order: by prefix, or from start to before end. To go on, pass resume.",
      kReadMany, Body::kJson, R"({"prefix":"user:","limit":100,"reverse":false,"keys_only":false})",
      kItems},
     &KvRows::scan},
    {{Method::kPost, "/v1/kv:rate_limit", "Keys and values",
      "Take tokens from a bucket, decided in one atomic step.", kWriteMany, Body::kJson,
      R"({"name":"login:7","burst":10,"tokens":5,"period":"1s","cost":1})",
      R"({"allowed":true,"tokens_left":9,"retry_after_ms":0,"full_after_ms":200})"},
     &KvRows::rate_limit},
    {{Method::kGet, "/v1/kv:stats", "Keys and values", "How many keys and bytes there are.",
      kReadMany, Body::kNone, "", R"({"keys":2,"bytes":4,"expiring":1})"},
     &KvRows::stats},
};

}  // namespace

void bind_kv(service::kv::Api& api, const env::Clock& clock, Router& router) {
  const auto rows = std::make_shared<KvRows>(api, clock);
  for (const Row& row : kRows) {
    router.add(row.text, [rows, run = row.run](const Request& request, Responder responder) {
      if (const Status status = ((*rows).*run)(request, responder); !status.ok()) {
        responder.fail(status);
      }
    });
  }
}

}  // namespace quorate::edge::http
