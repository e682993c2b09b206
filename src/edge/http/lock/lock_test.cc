// SPDX-License-Identifier: Apache-2.0
// The rows of locks.
#include <boost/json.hpp>

#include "base/text.h"
#include "edge/http/lock/lock_testing.h"

namespace quorate::edge::http {
namespace {

bool has(const Response& response, std::string_view part) {
  return response.body.find(part) != std::string::npos;
}

TEST_F(LocksOverHttp, a_lock_is_taken_seen_and_given_back) {
  EXPECT_EQ(post("/v1/locks/a/b/acquire", R"({"owner":"me","lease":"8s"})").body,
            R"({"granted":true,"token":1,"lease_end_ms":1010000,"lease_left_ms":10000})"
            "\n");
  EXPECT_EQ(say(Method::kGet, "/v1/locks/a/b").body,
            R"({"holder_count":1,"waiter_count":0,"holders":[{"owner":"me","mode":"exclusive",)"
            R"("count":1,"token":1,"since_ms":1000000}],"waiters":[]})"
            "\n");
  EXPECT_EQ(say(Method::kGet, "/v1/locks?prefix=a/").body,
            R"({"locks":[{"name":"a/b","mode":"exclusive","holders":1,"waiters":0,"owner":"me",)"
            R"("token":1}],"more":false})"
            "\n");
  EXPECT_EQ(post("/v1/locks/a/b/release", R"({"owner":"me","token":2})").status, 412);
  EXPECT_EQ(post("/v1/locks/a/b/release", R"({"owner":"me","token":1})").body, "{\"left\":0}\n");
  EXPECT_EQ(say(Method::kGet, "/v1/locks/a/b").status, 404);
  EXPECT_EQ(post("/v1/locks/a/b/release", R"({"owner":"me"})").status, 404);
}

TEST_F(LocksOverHttp, names_and_owners_are_any_bytes) {
  const std::string bytes("\0\xff/", 3);
  const std::string path = "/v1/locks/" + percent_encode(bytes);
  EXPECT_EQ(post(path + "/acquire", R"({"owner_base64":")" + base64_encode(bytes) + "\"}").status,
            200);
  EXPECT_TRUE(has(say(Method::kGet, path), R"("owner_base64":")" + base64_encode(bytes) + "\""));
  EXPECT_TRUE(has(say(Method::kGet, "/v1/lock-owners/" + percent_encode(bytes)),
                  R"("name_base64":")" + base64_encode(bytes) + "\""));
}

TEST_F(LocksOverHttp, a_waiting_call_is_answered_by_the_grant) {
  post("/v1/locks/x/acquire", R"({"owner":"a"})");
  EXPECT_EQ(post("/v1/locks/x/acquire", R"({"owner":"b"})").status, 412) << "no wait was asked";
  const auto waiting = begin_post("/v1/locks/x/acquire", R"({"owner":"b","wait":"5s"})");
  EXPECT_FALSE(waiting->answered);
  EXPECT_TRUE(has(say(Method::kGet, "/v1/locks/x"), R"("waiters":[{"owner":"b")"));
  post("/v1/locks/x/release", R"({"owner":"a"})");
  api_.poll();
  ASSERT_TRUE(waiting->answered);
  EXPECT_TRUE(has(waiting->answer, R"("granted":true,"token":2)")) << waiting->answer.body;
}

TEST_F(LocksOverHttp, a_wait_times_out) {
  post("/v1/locks/x/acquire", R"({"owner":"a"})");
  const auto waiting = begin_post("/v1/locks/x/acquire", R"({"owner":"b","wait":"5s"})");
  group_.pass(Duration::seconds(5));
  api_.poll();
  ASSERT_TRUE(waiting->answered);
  EXPECT_EQ(waiting->answer.status, 504) << waiting->answer.body;
}

TEST_F(LocksOverHttp, a_client_that_leaves_gives_up_its_wait) {
  post("/v1/locks/x/acquire", R"({"owner":"a"})");
  const auto waiting = begin_post("/v1/locks/x/acquire", R"({"owner":"b","wait":"5s"})");
  EXPECT_EQ(api_.waiting(), 1u);
  waiting->leave();
  EXPECT_EQ(api_.waiting(), 0u);
  EXPECT_TRUE(has(say(Method::kGet, "/v1/locks/x"), R"("waiter_count":0)"));
  EXPECT_EQ(waiting->answer.status, 503) << "for a server that stops";
}

TEST_F(LocksOverHttp, a_wait_in_the_background_is_asked_for) {
  post("/v1/locks/x/acquire", R"({"owner":"a"})");
  EXPECT_EQ(post("/v1/locks/x/acquire", R"({"owner":"b","wait":"5s","background":true})").body,
            R"({"granted":false,"ticket":3,"ahead":0,"deadline_ms":1005000,"wait_left_ms":5000,)"
            R"("lease_end_ms":1041000,"lease_left_ms":41000})"
            "\n");
  EXPECT_TRUE(has(say(Method::kGet, "/v1/lock-owners/b/wait"), R"({"state":"waiting","ticket":3)"));
  post("/v1/locks/x/release", R"({"owner":"a"})");
  EXPECT_TRUE(has(say(Method::kGet, "/v1/lock-owners/b/wait"),
                  R"({"state":"granted","ticket":3,"token":2,)"));
  EXPECT_TRUE(has(say(Method::kGet, "/v1/lock-owners/b"),
                  R"("held":[{"name":"x","mode":"exclusive","count":1,"token":2}])"));
}

TEST_F(LocksOverHttp, several_are_taken_at_once_or_not_at_all) {
  post("/v1/locks/b/acquire", R"({"owner":"other"})");
  const std::string three = R"({"owner":"me","locks":[{"name":"a"},{"name":"b","mode":"shared"},)"
                            R"({"name":"s","permits":2,"limit":3}]})";
  EXPECT_EQ(post("/v1/locks:acquire", three).status, 412);
  EXPECT_EQ(say(Method::kGet, "/v1/locks/a").status, 404);
  post("/v1/locks/b/release", R"({"owner":"other"})");
  EXPECT_EQ(post("/v1/locks:acquire", three).status, 200);
  EXPECT_TRUE(has(say(Method::kGet, "/v1/locks/s"), R"({"limit":3,"used":2,)"));
  EXPECT_EQ(post("/v1/locks/s/acquire", R"({"owner":"you","permits":2,"limit":3})").status, 412);
  EXPECT_EQ(post("/v1/locks/s/acquire", R"({"owner":"you","limit":3})").status, 200);
}

TEST_F(LocksOverHttp, shared_becomes_exclusive_and_back) {
  post("/v1/locks/x/acquire", R"({"owner":"a","mode":"shared"})");
  post("/v1/locks/x/acquire", R"({"owner":"b","mode":"shared"})");
  EXPECT_EQ(post("/v1/locks/x/upgrade", R"({"owner":"a"})").status, 412);
  const auto waiting = begin_post("/v1/locks/x/upgrade", R"({"owner":"a","wait":3})");
  const Response victim = post("/v1/locks/x/upgrade", R"({"owner":"b","wait":3})");
  EXPECT_EQ(victim.status, 409);
  EXPECT_TRUE(has(victim, "b waits for x of a, a waits for x of b")) << victim.body;
  post("/v1/locks/x/release", R"({"owner":"b"})");
  api_.poll();
  EXPECT_TRUE(has(waiting->answer, R"("granted":true)"));
  EXPECT_EQ(post("/v1/locks/x/downgrade", R"({"owner":"a"})").status, 200);
  EXPECT_TRUE(has(say(Method::kGet, "/v1/locks/x"), R"("mode":"shared")"));
  EXPECT_TRUE(has(say(Method::kGet, "/v1/locks:stats"),
                  R"("deadlocks_detected":1,"deadlocks_resolved":1)"));
}

TEST_F(LocksOverHttp, an_owner_lives_while_it_is_renewed) {
  EXPECT_EQ(say(Method::kPut, "/v1/lock-owners/me", R"({"lease":"8s"})").body,
            R"({"number":1,"opened":true,"lease_end_ms":1010000,"lease_left_ms":10000})"
            "\n");
  EXPECT_EQ(post("/v1/locks/x/acquire", R"({"owner":"me","lease":0})").status, 200);
  group_.pass(Duration::seconds(8));
  EXPECT_EQ(post("/v1/lock-owners/me/renew").status, 200);
  group_.pass(Duration::seconds(8));
  EXPECT_EQ(say(Method::kGet, "/v1/locks/x").status, 200);
  group_.pass(Duration::seconds(9));
  EXPECT_EQ(say(Method::kGet, "/v1/locks/x").status, 404);
  EXPECT_TRUE(has(post("/v1/lock-owners/me/renew"), "lease_lost"));
  EXPECT_TRUE(has(post("/v1/locks/x/acquire", R"({"owner":"me","lease":0})"), "lease_lost"));
}

TEST_F(LocksOverHttp, closing_an_owner_gives_all_back) {
  post("/v1/locks:acquire", R"({"owner":"me","locks":[{"name":"a"},{"name":"b"}]})");
  EXPECT_EQ(say(Method::kDelete, "/v1/lock-owners/me").body, "{\"released\":2}\n");
  EXPECT_EQ(say(Method::kDelete, "/v1/lock-owners/me").body, "{\"released\":0}\n");
  EXPECT_EQ(say(Method::kGet, "/v1/locks").body, "{\"locks\":[],\"more\":false}\n");
}

TEST_F(LocksOverHttp, a_wait_is_cancelled_and_a_lock_is_broken) {
  post("/v1/locks/x/acquire", R"({"owner":"a"})");
  const auto waiting = begin_post("/v1/locks/x/acquire", R"({"owner":"b","wait":"5s"})");
  EXPECT_EQ(post("/v1/lock-owners/b/cancel", R"({"ticket":9})").body, "{\"cancelled\":false}\n");
  EXPECT_EQ(post("/v1/lock-owners/b/cancel").body, "{\"cancelled\":true}\n");
  api_.poll();
  EXPECT_EQ(waiting->answer.status, 410) << "the owner was only there for this wait";
  EXPECT_EQ(post("/v1/locks/x/break", R"({"owner":"c"})").status, 200);
  EXPECT_EQ(say(Method::kGet, "/v1/locks/x").status, 200);
  EXPECT_EQ(post("/v1/locks/x/break").body, "{\"count\":1}\n");
  EXPECT_EQ(say(Method::kGet, "/v1/locks/x").status, 404);
}

TEST_F(LocksOverHttp, the_calls_of_older_services_work) {
  EXPECT_TRUE(has(post("/lock", R"({"resource":"r","client_id":"c1","mode":"shared"})"),
                  R"("granted":true,"token":1)"));
  EXPECT_EQ(
      post("/lock", R"({"resource":"r","client_id":"c2","mode":"exclusive","timeout":0})").status,
      412);
  const auto waiting =
      begin_post("/lock", R"({"resource":"r","client_id":"c2","mode":"exclusive","timeout":5})");
  EXPECT_EQ(post("/unlock", R"({"resource":"r","client_id":"c1"})").body, "{\"left\":0}\n");
  api_.poll();
  EXPECT_TRUE(has(waiting->answer, R"("granted":true)"));
  EXPECT_EQ(post("/unlock", R"({"resource":"r","client_id":"c1"})").status, 404);
}

TEST_F(LocksOverHttp, domains_are_apart) {
  EXPECT_EQ(post("/v1/locks/x/acquire?domain=3", R"({"owner":"a"})").status, 200);
  EXPECT_EQ(post("/v1/locks/x/acquire", R"({"owner":"b"})").status, 200);
  EXPECT_EQ(post("/v1/locks/x/acquire?domain=x", R"({"owner":"b"})").status, 400);
  EXPECT_EQ(post("/v1/locks/x/acquire?domain=1000001", R"({"owner":"b"})").status, 400);
}

TEST_F(LocksOverHttp, a_retry_with_its_key_enters_once) {
  const TestHeaders key = {{"Idempotency-Key", "k1"}};
  const std::string body = R"({"owner":"a"})";
  const Response first = say(Method::kPost, "/v1/locks/x/acquire", body, key);
  EXPECT_EQ(say(Method::kPost, "/v1/locks/x/acquire", body, key).body, first.body);
  EXPECT_EQ(post("/v1/locks/x/release", R"({"owner":"a"})").body, "{\"left\":0}\n");
}

TEST_F(LocksOverHttp, what_is_wrong_is_told_and_changes_nothing) {
  const struct {
    const char* target;
    const char* body;
    const char* said;
  } rows[] = {
      {"/v1/locks/x/acquire", "{", "not JSON"},
      {"/v1/locks/x/acquire", "[]", "must be a JSON object"},
      {"/v1/locks/x/acquire", "{}", "the name of an owner is not empty"},
      {"/v1/locks/x/acquire", R"({"owner":1})", "'owner' must be a string"},
      {"/v1/locks/x/acquire", R"({"owner":"a","owner_base64":"YQ=="})", "not both"},
      {"/v1/locks/x/acquire", R"({"owner":"a","mod":"shared"})", "unknown field 'mod'"},
      {"/v1/locks/x/acquire", R"({"owner":"a","mode":"read"})", "'mode' must be"},
      {"/v1/locks/x/acquire", R"({"owner":"a","mode":"shared","permits":1})", "only a semaphore"},
      {"/v1/locks/x/acquire", R"({"owner":"a","permits":3,"limit":2})", "nor more than there are"},
      {"/v1/locks/x/acquire", R"({"owner":"a","lease":"10ms"})", "a lease lasts from"},
      {"/v1/locks/x/acquire", R"({"owner":"a","wait":"2d"})", "nobody waits longer"},
      {"/v1/locks/x/acquire?wait=1", R"({"owner":"a"})", "unknown query parameter 'wait'"},
      {"/v1/locks:acquire", R"({"owner":"a"})", "'locks' must be a list"},
      {"/v1/locks:acquire", R"({"owner":"a","locks":["x"]})", "must be an object"},
      {"/v1/locks:acquire", R"({"owner":"a","locks":[]})", "names a lock"},
      {"/v1/locks:acquire", R"({"owner":"a","locks":[{"name":"x"},{"name":"x"}]})", "twice"},
      {"/lock", R"({"client_id":"a"})", "the name of a lock is not empty"},
  };
  for (const auto& row : rows) {
    const Response response = post(row.target, row.body);
    EXPECT_EQ(response.status, 400) << row.body << response.body;
    EXPECT_TRUE(has(response, row.said)) << row.body << response.body;
  }
  EXPECT_EQ(say(Method::kGet, "/v1/locks?limit=x").status, 400);
  EXPECT_EQ(say(Method::kGet, "/v1/locks").body, "{\"locks\":[],\"more\":false}\n");
}

TEST_F(LocksOverHttp, weather_is_passed_on) {
  group_.weather = Status(Code::kUnavailable, "no leader");
  EXPECT_EQ(post("/v1/locks/x/acquire", R"({"owner":"a","wait":"5s"})").status, 503);
  EXPECT_EQ(say(Method::kGet, "/v1/locks/x").status, 503);
}

TEST_F(LocksOverHttp, a_caller_is_asked_for_each_name) {
  const auto caller = std::make_shared<const Caller>(
      "ada", std::vector<Caller::Grant>{{static_cast<uint8_t>(service::ServiceId::kLock), false, 0,
                                         "a/", rights::kRead | rights::kWrite}});
  const auto as_ada = [&](Method method, std::string target, std::string body) {
    auto exchange = std::make_shared<CaughtExchange>();
    exchange->the_request.method = method;
    exchange->target = std::move(target);
    exchange->body = std::move(body);
    exchange->the_request.body = exchange->body;
    exchange->the_request.caller = caller;
    Router::Match match = router_.find(method, *parse_target(exchange->target));
    exchange->the_request.parameters = std::move(match.parameters);
    exchange->the_request.query = parse_target(exchange->target)->query;
    match.route->handler(exchange->the_request, Responder(exchange));
    return exchange->answer.status;
  };
  EXPECT_EQ(as_ada(Method::kPost, "/v1/locks/a/x/acquire", R"({"owner":"a/1"})"), 200);
  EXPECT_EQ(as_ada(Method::kPost, "/v1/locks/a/x/acquire", R"({"owner":"b/1"})"), 403);
  EXPECT_EQ(as_ada(Method::kPost, "/v1/locks/b/x/acquire", R"({"owner":"a/1"})"), 403);
  EXPECT_EQ(as_ada(Method::kPost, "/v1/locks/a/x/break", ""), 403);
  EXPECT_EQ(as_ada(Method::kDelete, "/v1/lock-owners/b/1", ""), 403);
  EXPECT_EQ(as_ada(Method::kGet, "/v1/locks", ""), 403);
  EXPECT_EQ(as_ada(Method::kGet, "/v1/locks?prefix=a/", ""), 200);
  EXPECT_EQ(as_ada(Method::kGet, "/v1/locks:watch", ""), 403);
}

// ---- watching -----------------------------------------------------------------------------------

TEST_F(LocksOverHttp, a_watch_tells_each_new_state) {
  post("/v1/locks/w/a/acquire", R"({"owner":"me"})");
  const auto watch = begin(router_, Method::kGet, "/v1/locks:watch?prefix=w/");
  const std::string first =
      R"({"type":"lock","name":"w/a","mode":"exclusive","holders":1,"waiters":0,"owner":"me",)"
      R"("token":1})"
      "\n{\"type\":\"ready\"}\n";
  EXPECT_EQ(watch->caught->bytes, first);
  timer_.fire();
  post("/v1/locks/elsewhere/acquire", R"({"owner":"me"})");
  timer_.fire();
  EXPECT_EQ(watch->caught->bytes, first) << "nothing that it watches has changed";
  watch->caught->bytes.clear();
  const auto waiting = begin_post("/v1/locks/w/a/acquire", R"({"owner":"you","wait":"5s"})");
  post("/v1/locks/w/a/release", R"({"owner":"me"})");
  timer_.fire();
  EXPECT_EQ(watch->caught->bytes,
            R"({"type":"lock","name":"w/a","mode":"exclusive","holders":1,"waiters":0,)"
            R"("owner":"you","token":3})"
            "\n");
  watch->caught->bytes.clear();
  post("/v1/locks/w/a/release", R"({"owner":"you"})");
  timer_.fire();
  EXPECT_EQ(watch->caught->bytes, "{\"type\":\"free\",\"name\":\"w/a\"}\n");
  waiting->leave();  // its exchange and who waits for it hold each other
  watch->caught->is_open = false;
  timer_.fire();
  EXPECT_TRUE(timer_.idle()) << "nobody looks on any more";
}

TEST_F(LocksOverHttp, a_watch_of_one_lock_shows_who) {
  const auto watch =
      begin(router_, Method::kGet, "/v1/locks:watch?name=x", "", {{"Accept", "text/event-stream"}});
  EXPECT_EQ(watch->caught->bytes, "event: ready\ndata: {\"type\":\"ready\"}\n\n");
  watch->caught->bytes.clear();
  post("/v1/locks/x/acquire", R"({"owner":"me"})");
  timer_.fire();
  EXPECT_NE(watch->caught->bytes.find(R"("holders":[{"owner":"me")"), std::string::npos);
  watch->caught->bytes.clear();
  group_.now = group_.now + Duration::millis(10);
  timer_.fire();
  EXPECT_EQ(watch->caught->bytes, "");
  clock_.monotonic = clock_.monotonic + Duration::seconds(6);
  timer_.fire();
  EXPECT_EQ(watch->caught->bytes, "") << "events have pings of their own";
}

TEST_F(LocksOverHttp, a_watch_shows_that_it_is_alive_and_does_not_outrun_its_reader) {
  const auto watch = begin(router_, Method::kGet, "/v1/locks:watch?prefix=");
  watch->caught->bytes.clear();
  clock_.monotonic = clock_.monotonic + Duration::seconds(6);
  timer_.fire();
  EXPECT_EQ(watch->caught->bytes, "{\"type\":\"progress\"}\n");
  watch->caught->bytes.clear();
  watch->caught->queued = 1'000'000;
  post("/v1/locks/x/acquire", R"({"owner":"me"})");
  timer_.fire();
  EXPECT_EQ(watch->caught->bytes, "");
  watch->caught->queued = 0;
  timer_.fire();
  EXPECT_NE(watch->caught->bytes.find(R"("name":"x")"), std::string::npos);
  EXPECT_EQ(say(Method::kGet, "/v1/locks:watch?prefix=a&name=b").status, 400);
  EXPECT_EQ(say(Method::kGet, "/v1/locks:watch?format=xml").status, 400);
}

}  // namespace
}  // namespace quorate::edge::http
