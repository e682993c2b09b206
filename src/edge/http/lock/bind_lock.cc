// SPDX-License-Identifier: Apache-2.0
#include "edge/http/lock/bind_lock.h"

#include <memory>

#include "edge/http/arguments.h"
#include "edge/http/lock/lock_rows.h"

namespace quorate::edge::http {
namespace {

// A row either answers, now or later, or says at once what is wrong with the request.
using Run = Status (LockRows::*)(const LockAsked&, const Responder&);

struct Row {
  RouteText text;
  Run run;
};

constexpr std::string_view kGroup = "Locks";

constexpr Parameter kName = {"name", In::kPath, "string",
                             "Any bytes, percent-encoded; slashes may stand as they are."};
constexpr Parameter kOwner = {"owner", In::kPath, "string",
                              "Any bytes, percent-encoded; slashes may stand as they are."};
constexpr Parameter kDomain = {"domain", In::kQuery, "integer",
                               "A number: names of another domain are other names (0)."};
constexpr Parameter kTimeout = {"timeout", In::kQuery, "string",
                                "How long the cluster may take to decide, such as 2s (10s)."};
constexpr Parameter kIdempotency = {
    "Idempotency-Key", In::kHeader, "string",
    "Names this write: repeated with the same key it is done once and answered alike."};
constexpr Parameter kConsistency = {"consistency", In::kQuery, "string",
                                    "linearizable (default), follower, bounded, eventual."};
constexpr Parameter kBound = {"bound", In::kQuery, "string",
                              "With consistency=bounded: how stale it may be, such as 100ms."};
constexpr Parameter kAfter = {"after", In::kQuery, "string", "Go on behind this name."};

constexpr Parameter kOfName[] = {kName, kDomain, kIdempotency, kTimeout};
constexpr Parameter kOfMany[] = {kDomain, kIdempotency, kTimeout};
constexpr Parameter kOfOwner[] = {kOwner, kDomain, kIdempotency, kTimeout};
constexpr Parameter kInfo[] = {kName, kConsistency, kBound, kDomain, kTimeout};
constexpr Parameter kWaitOf[] = {kOwner, kConsistency, kBound, kDomain, kTimeout};
constexpr Parameter kOwnerOf[] = {kOwner, kAfter, kConsistency, kBound, kDomain, kTimeout};
constexpr Parameter kStats[] = {kConsistency, kBound, kDomain, kTimeout};
constexpr Parameter kList[] = {
    {"prefix", In::kQuery, "string", "Names that begin so; nothing: every name."},
    kAfter,
    {"limit", In::kQuery, "integer", "Locks in the answer, at most (1000)."},
    kConsistency,
    kBound,
    kDomain,
    kTimeout};
constexpr Parameter kWatch[] = {
    {"name", In::kQuery, "string", "One lock, with its holders and waiters."},
    {"prefix", In::kQuery, "string", "Or: every lock whose name begins so."},
    {"format", In::kQuery, "string", "lines (default) or events."},
    kDomain,
    {"Accept", In::kHeader, "string", "text/event-stream: as format=events."}};

constexpr std::string_view kGranted =
    R"({"granted":true,"token":17,"lease_end_ms":1700000033750,"lease_left_ms":33750})";
constexpr std::string_view kOwned =
    R"({"number":12,"opened":true,"lease_end_ms":1700000033750,"lease_left_ms":33750})";

constexpr Row kRows[] = {
    {{Method::kPost, "/v1/locks/{name...}/acquire", kGroup,
      "Take a lock: mode is exclusive (default), shared, or permits of a semaphore that has limit "
      "of them. If it is not free: refused (precondition_failed), or with wait, the answer comes "
      "when it is granted, at most so much later (then: timeout); with background at once, and "
      "/v1/lock-owners/{owner}/wait tells. A wait that could never end is refused: deadlock. "
      "An owner that is not there is made, until it gives back its last lock, and lives for "
      "lease (30s) after it was heard of last; lease 0: it must be there. A client that closes "
      "the connection gives up its wait.",
      kOfName, Body::kJson, R"({"owner":"worker-7","mode":"exclusive","wait":"5s","lease":"30s"})",
      kGranted, Access::kKnown, R"({"permits":2,"limit":10,"background":false})"},
     &LockRows::acquire},
    {{Method::kPost, "/v1/locks:acquire", kGroup,
      "Take several, all or none; whoever waits for several holds none of them meanwhile.", kOfMany,
      Body::kJson,
      R"({"owner":"worker-7","locks":[{"name":"a"},{"name":"b","mode":"shared"},)"
      R"({"name":"slots","permits":2,"limit":10}],"wait":"5s","lease":"30s"})",
      kGranted, Access::kKnown, R"({"background":false})"},
     &LockRows::acquire_many},
    {{Method::kPost, "/v1/locks/{name...}/release", kGroup,
      "Give back a lock once, or permits (count, 0: all). With token: only if it is the hold's.",
      kOfName, Body::kJson, R"({"owner":"worker-7","token":17})", R"({"left":0})", Access::kKnown,
      R"({"count":1})"},
     &LockRows::release},
    {{Method::kPost, "/v1/locks/{name...}/upgrade", kGroup,
      "From shared to exclusive, before all who wait, with a new token.", kOfName, Body::kJson,
      R"({"owner":"worker-7","wait":"5s"})", kGranted, Access::kKnown, R"({"background":false})"},
     &LockRows::upgrade},
    {{Method::kPost, "/v1/locks/{name...}/downgrade", kGroup,
      "From exclusive to shared; the token stays.", kOfName, Body::kJson, R"({"owner":"worker-7"})",
      kGranted},
     &LockRows::downgrade},
    {{Method::kPost, "/v1/locks/{name...}/break", kGroup,
      "Take a lock from its holders, or from one owner, without asking them. They may still act on "
      "it: only tokens keep them out. Needs the right to administer the name.",
      kOfName, Body::kJson, R"({"owner":"worker-7"})", R"({"count":1})"},
     &LockRows::break_lock},
    {{Method::kGet, "/v1/locks/{name...}", kGroup,
      "Who holds a lock and who waits for it; not_found if nobody does.", kInfo, Body::kNone, "",
      R"({"holder_count":1,"waiter_count":1,"holders":[{"owner":"worker-7","mode":"exclusive",)"
      R"("count":1,"token":17,"since_ms":1700000000000}],"waiters":[{"owner":"worker-8",)"
      R"("mode":"exclusive","upgrade":false,"ticket":18,"since_ms":1700000000500,)"
      R"("deadline_ms":1700000005500,"wait_left_ms":5000}]})"},
     &LockRows::info},
    {{Method::kGet, "/v1/locks", kGroup, "Locks in use, by name.", kList, Body::kNone, "",
      R"({"locks":[{"name":"a","mode":"exclusive","holders":1,"waiters":1,"owner":"worker-7",)"
      R"("token":17}],"more":false})"},
     &LockRows::list},
    {{Method::kGet, "/v1/locks:watch", kGroup,
      "The state of a lock, or of all with a prefix, whenever it differs from what was told last: "
      "JSON lines or server-sent events. lock: in use, and how; free: no more; ready: all that "
      "was there has been told. States, not steps: what came and went in between is not told.",
      kWatch, Body::kNone, "",
      R"({"type":"lock","name":"a","mode":"exclusive","holders":1,"waiters":0,)"
      R"("owner":"worker-7","token":17})"},
     &LockRows::watch},
    {{Method::kGet, "/v1/locks:stats", kGroup, "Counts of the group that the domain lives in.",
      kStats, Body::kNone, "",
      R"({"locks":1,"holds":1,"waits":0,"owners":1,"grants":17,"queued":3,"timed_out":0,)"
      R"("leases_lost":0,"broken":0,"deadlocks_detected":0,"deadlocks_resolved":0})"},
     &LockRows::stats},
    {{Method::kPut, "/v1/lock-owners/{owner...}", kGroup,
      "Open an owner that lives, with all it will hold, for lease (30s) after each time that it is "
      "heard of; or renew it with this lease.",
      kOfOwner, Body::kJson, R"({"lease":"30s"})", kOwned},
     &LockRows::open},
    {{Method::kPost, "/v1/lock-owners/{owner...}/renew", kGroup,
      "Say that the owner is alive; lease_lost if it is no more.", kOfOwner, Body::kNone, "",
      kOwned},
     &LockRows::renew},
    {{Method::kDelete, "/v1/lock-owners/{owner...}", kGroup,
      "Close an owner: it gives back all that it holds, and ends its wait.", kOfOwner, Body::kNone,
      "", R"({"released":2})"},
     &LockRows::close},
    {{Method::kPost, "/v1/lock-owners/{owner...}/cancel", kGroup,
      "End the wait of an owner; of this ticket only, if one is given.", kOfOwner, Body::kJson,
      R"({"ticket":18})", R"({"cancelled":true})"},
     &LockRows::cancel},
    {{Method::kGet, "/v1/lock-owners/{owner...}/wait", kGroup,
      "What has become of the last wait of an owner: none, waiting, granted, timed_out, cancelled, "
      "broken.",
      kWaitOf, Body::kNone, "",
      R"({"state":"granted","ticket":18,"token":19,"lease_end_ms":1700000033750,)"
      R"("lease_left_ms":33750})"},
     &LockRows::wait_of},
    {{Method::kGet, "/v1/lock-owners/{owner...}", kGroup, "What an owner holds and waits for.",
      kOwnerOf, Body::kNone, "",
      R"({"number":12,"lease_ms":30000,"transient":true,"lease_end_ms":1700000033750,)"
      R"("lease_left_ms":33750,"held_count":1,"held":[{"name":"a","mode":"exclusive","count":1,)"
      R"("token":17}],"wait":{"state":"none","locks":[]}})"},
     &LockRows::owner},
    {{Method::kPost, "/lock", kGroup,
      "As older lock services have it: client_id takes resource, and waits for timeout (10s) if it "
      "must; its lease is 30s unless it says otherwise. mode is exclusive (default) or shared.",
      kOfMany, Body::kJson,
      R"({"resource":"a","client_id":"worker-7","mode":"exclusive","timeout":5})", kGranted,
      Access::kKnown, R"({"lease":"30s"})"},
     &LockRows::lock},
    {{Method::kPost, "/unlock", kGroup, "The other half of /lock.", kOfMany, Body::kJson,
      R"({"resource":"a","client_id":"worker-7"})", R"({"left":0})", Access::kKnown,
      R"({"token":17})"},
     &LockRows::unlock},
};

Status run(LockRows& rows, const Row& row, const Request& request, const Responder& responder) {
  RETURN_IF_ERROR(check_query(request, row.text));
  const Result<service::lock::DomainId> domain = read_domain(request);
  RETURN_IF_ERROR(domain);
  return (rows.*row.run)({request, *domain}, responder);
}

}  // namespace

void bind_lock(const LockParts& parts, Router& router) {
  const auto rows = std::make_shared<LockRows>(parts.api, parts.clock, parts.timer);
  for (const Row& row : kRows) {
    router.add(row.text, [rows, &row](const Request& request, const Responder& responder) {
      const Status status = run(*rows, row, request, responder);
      if (!status.ok()) {
        responder.fail(status);
      }
    });
  }
}

}  // namespace quorate::edge::http
