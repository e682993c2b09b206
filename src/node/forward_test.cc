// SPDX-License-Identifier: Apache-2.0
// Requests that another node must answer: the codec, and every way in which a hop can end.
#include "node/forward.h"

#include <gtest/gtest.h>

#include "base/prng.h"

namespace quorate::node {
namespace {

Forwarded sample() {
  Forwarded request;
  request.kind = ForwardKind::kQuery;
  request.group = GroupId(7);
  request.service = service::ServiceId::kLock;
  request.session = SessionId(9);
  request.sequence = 11;
  request.key = service::CommandKey::of("key");
  request.mode = {service::Consistency::kBounded, Duration::millis(5)};
  request.body = "body";
  return request;
}

TEST(forward_codec, a_request_survives_the_trip) {
  const Result<Forwarded> back =
      decode_request(encode_request(sample(), Duration::millis(70)), Instant());
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->kind, ForwardKind::kQuery);
  EXPECT_EQ(back->group, GroupId(7));
  EXPECT_EQ(back->service, service::ServiceId::kLock);
  EXPECT_EQ(back->session, SessionId(9));
  EXPECT_EQ(back->sequence, 11u);
  EXPECT_EQ(back->key, service::CommandKey::of("key"));
  EXPECT_EQ(back->mode.consistency, service::Consistency::kBounded);
  EXPECT_EQ(back->mode.bound, Duration::millis(5));
  EXPECT_EQ(back->body, "body");
  EXPECT_EQ(back->deadline, Instant() + Duration::millis(70));
}

TEST(forward_codec, an_answer_survives_the_trip) {
  const ForwardAnswer answer{Status(Code::kNotLeader, "no"),
                             NodeId(3),
                             {GroupId(1), Index(5), Duration::millis(2), NodeId(2)},
                             "bytes"};
  const std::string bytes = encode_answer(answer);
  const Result<ForwardAnswer> back = decode_answer(bytes);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->status, answer.status);
  EXPECT_EQ(back->leader, NodeId(3));
  EXPECT_EQ(back->origin.index, Index(5));
  EXPECT_EQ(back->answer, "bytes");
}

TEST(forward_codec, damaged_bytes_are_refused) {
  Prng prng(3);
  const std::string request = encode_request(sample(), Duration::millis(70));
  const std::string answer = encode_answer({Status::success(), NodeId(), {}, "answer"});
  for (size_t size = 0; size < request.size(); ++size) {
    EXPECT_FALSE(decode_request(request.substr(0, size), Instant()).ok());
  }
  for (size_t size = 0; size < answer.size(); ++size) {
    EXPECT_FALSE(decode_answer(answer.substr(0, size)).ok());
  }
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes(prng.below(60), ' ');
    for (char& byte : bytes) {
      byte = static_cast<char>(prng.next());
    }
    (void)decode_request(bytes, Instant());
    (void)decode_answer(bytes);
  }
}

// A cluster of scripted nodes: calls are recorded, and answered by the test.
class ForwarderTest : public testing::Test, protected ForwardRoutes {
 protected:
  struct Call {
    NodeId target;
    std::string body;
    UniqueFunction<void(const Status&, std::string_view)> done;
  };

  bool serve_here(Forwarded& request) override {
    if (!lead_here) {
      return false;
    }
    served += request.body;
    request.done(Status::success(), "here", {});
    return true;
  }
  bool outcome_open(GroupId) override { return in_flight && !overtaken; }
  void overtake(GroupId) override { overtaken = true; }
  NodeId leader_of(GroupId) override { return leader; }
  std::vector<NodeId> holders_of(GroupId) override { return holders; }
  void call(NodeId target, std::string request, Duration,
            UniqueFunction<void(const Status&, std::string_view)> done) override {
    calls.push_back({target, decode_request(request, time)->body, std::move(done)});
  }
  Instant now() override { return time; }

  std::unique_ptr<Forwarded> make(ForwardKind kind, const std::string& name = "") {
    auto request = std::make_unique<Forwarded>();
    request->kind = kind;
    request->group = GroupId(1);
    request->body = name;
    request->deadline = time + deadline_after;
    request->done = [this, name](const Status& status, std::string_view answer,
                                 const service::Origin&) {
      heard += name + (name.empty() ? "" : "=");
      heard += status.ok() ? std::string(answer) : std::string(row_of(status.code()).name);
      heard += " ";
    };
    return request;
  }
  void start(ForwardKind kind, SessionId session = SessionId()) {
    std::unique_ptr<Forwarded> request = make(kind);
    request->session = session;
    forwarder.start(std::move(request));
  }
  void command(const std::string& name) { forwarder.start(make(ForwardKind::kCommand, name)); }
  // The commands that are on their way, in the order in which they were sent.
  std::string sent() {
    std::string names;
    for (const Call& each : calls) {
      names += each.body;
    }
    return names;
  }
  void answer(const Status& status, NodeId hint = NodeId()) {
    ASSERT_FALSE(calls.empty());
    Call call = std::move(calls.front());
    calls.erase(calls.begin());
    call.done(Status::success(), encode_answer({status, hint, {}, status.ok() ? "yes" : ""}));
  }
  void fail(Code code) {
    ASSERT_FALSE(calls.empty());
    Call call = std::move(calls.front());
    calls.erase(calls.begin());
    call.done(Status(code, "link"), {});
  }
  void advance(int64_t millis) {
    time = time + Duration::millis(millis);
    forwarder.tick(time);
  }

  bool lead_here = false;
  bool in_flight = false;
  bool overtaken = false;
  NodeId leader = NodeId(2);
  std::vector<NodeId> holders = {NodeId(1), NodeId(2), NodeId(3)};
  Instant time = Instant() + Duration::seconds(1);
  std::vector<Call> calls;
  Duration deadline_after = Duration::millis(500);
  std::string heard;
  std::string served;
  Forwarder forwarder{*this, NodeId(1)};
};

TEST_F(ForwarderTest, goes_to_the_leader_and_brings_its_answer) {
  start(ForwardKind::kCommand);
  ASSERT_EQ(calls.size(), 1u);
  EXPECT_EQ(calls[0].target, NodeId(2));
  answer(Status::success());
  EXPECT_EQ(heard, "yes ");
}

TEST_F(ForwarderTest, follows_the_hint_of_a_node_that_does_not_lead) {
  leader = NodeId();
  start(ForwardKind::kCommand);
  answer(Status(Code::kNotLeader, ""), NodeId(9));
  ASSERT_EQ(calls.size(), 1u);
  EXPECT_EQ(calls[0].target, NodeId(9));
}

TEST_F(ForwarderTest, asks_on_when_it_is_taken_for_the_leader_itself) {
  leader = NodeId();
  start(ForwardKind::kQuery);
  ASSERT_EQ(calls.size(), 1u);
  const NodeId first = calls[0].target;
  answer(Status(Code::kNotLeader, ""), NodeId(1));
  advance(20);
  ASSERT_EQ(calls.size(), 1u);
  EXPECT_NE(calls[0].target, first) << "the next of those that hold the group";
  answer(Status::success());
  EXPECT_EQ(heard, "yes ");
}

TEST_F(ForwarderTest, waits_while_nobody_leads_and_serves_here_once_elected) {
  leader = NodeId();
  holders = {};
  start(ForwardKind::kCommand);
  EXPECT_TRUE(calls.empty());
  EXPECT_EQ(forwarder.parked(), 1u);
  lead_here = true;
  advance(20);
  EXPECT_EQ(heard, "here ");
}

TEST_F(ForwarderTest, gives_up_as_unavailable_when_no_leader_came) {
  leader = NodeId();
  holders = {};
  start(ForwardKind::kCommand);
  advance(499);
  EXPECT_EQ(heard, "");
  advance(20);
  EXPECT_EQ(heard, "unavailable ");
}

TEST_F(ForwarderTest, a_command_on_a_broken_link_is_an_unknown_outcome) {
  start(ForwardKind::kCommand);
  fail(Code::kUnknownOutcome);
  EXPECT_EQ(heard, "unknown_outcome ");
}

TEST_F(ForwarderTest, a_command_of_a_session_is_sent_again_instead) {
  start(ForwardKind::kCommand, SessionId(4));
  fail(Code::kUnknownOutcome);
  EXPECT_EQ(heard, "");
  advance(20);
  answer(Status::success());
  EXPECT_EQ(heard, "yes ");
}

TEST_F(ForwarderTest, a_query_is_asked_again_whatever_broke) {
  start(ForwardKind::kQuery);
  fail(Code::kUnknownOutcome);
  advance(20);
  fail(Code::kUnavailable);
  advance(20);
  answer(Status::success());
  EXPECT_EQ(heard, "yes ");
}

TEST_F(ForwarderTest, so_is_a_heartbeat) {
  start(ForwardKind::kHeartbeat);
  fail(Code::kUnknownOutcome);
  advance(20);
  answer(Status(Code::kNotLeader, ""), NodeId(9));
  answer(Status::success());
  EXPECT_EQ(heard, "yes ");
}

TEST_F(ForwarderTest, a_command_that_was_never_sent_is_tried_again) {
  start(ForwardKind::kCommand);
  fail(Code::kUnavailable);
  advance(20);
  answer(Status::success());
  EXPECT_EQ(heard, "yes ");
}

TEST_F(ForwarderTest, a_refusal_is_an_answer) {
  start(ForwardKind::kCommand);
  answer(Status(Code::kPreconditionFailed, ""));
  EXPECT_EQ(heard, "precondition_failed ");
}

TEST_F(ForwarderTest, what_comes_for_a_group_stands_behind_what_waits) {
  leader = NodeId();
  holders = {};
  command("a");
  command("b");
  leader = NodeId(2);
  command("c");
  EXPECT_EQ(sent(), "") << "c may not pass those before it";
  EXPECT_EQ(forwarder.parked(), 3u);
  advance(20);
  EXPECT_EQ(sent(), "a") << "the first is tried alone";
  command("d");
  EXPECT_EQ(sent(), "a");
  answer(Status::success());
  EXPECT_EQ(sent(), "bcd");
  EXPECT_FALSE(forwarder.has_line(GroupId(1)));
  EXPECT_EQ(forwarder.parked(), 0u);
  command("e");
  EXPECT_EQ(sent(), "bcde");
}

TEST_F(ForwarderTest, the_first_of_a_line_stays_the_first_when_it_is_refused) {
  leader = NodeId();
  holders = {};
  command("a");
  command("b");
  leader = NodeId(2);
  advance(20);
  answer(Status(Code::kNotLeader, ""));
  EXPECT_EQ(sent(), "");
  advance(20);
  EXPECT_EQ(sent(), "a");
  fail(Code::kUnknownOutcome);
  EXPECT_EQ(heard, "a=unknown_outcome ");
  EXPECT_EQ(sent(), "b") << "nobody is known to lead: the next is tried alone";
  answer(Status::success());
  EXPECT_EQ(heard, "a=unknown_outcome b=yes ");
  EXPECT_FALSE(forwarder.has_line(GroupId(1)));
}

TEST_F(ForwarderTest, a_refused_command_may_not_pass_a_line_that_was_made_meanwhile) {
  command("a");
  command("b");
  EXPECT_EQ(sent(), "ab");
  answer(Status(Code::kUnavailable, ""));
  answer(Status(Code::kNotLeader, ""), NodeId(3));
  EXPECT_EQ(sent(), "");
  advance(20);
  EXPECT_EQ(sent(), "a");
}

TEST_F(ForwarderTest, a_line_is_served_here_in_its_order) {
  leader = NodeId();
  holders = {};
  command("a");
  command("b");
  command("c");
  lead_here = true;
  advance(20);
  EXPECT_EQ(served, "abc");
  EXPECT_EQ(heard, "a=here b=here c=here ");
}

TEST_F(ForwarderTest, those_of_a_line_end_when_their_time_is_up) {
  leader = NodeId();
  holders = {};
  command("a");
  advance(100);
  command("b");
  advance(400);
  EXPECT_EQ(heard, "a=unavailable ");
  advance(100);
  EXPECT_EQ(heard, "a=unavailable b=unavailable ");
  EXPECT_FALSE(forwarder.has_line(GroupId(1)));
}

TEST_F(ForwarderTest, a_leader_that_says_nothing_holds_up_no_line_for_long) {
  leader = NodeId();
  holders = {};
  command("a");
  command("b");
  leader = NodeId(2);
  advance(20);
  EXPECT_EQ(sent(), "a");
  leader = NodeId(3);
  command("c");
  time = time + Duration::millis(100);
  forwarder.tick(time);
  EXPECT_EQ(sent(), "a");
  deadline_after = Duration::seconds(10);
  command("d");
  advance(600);
  EXPECT_EQ(heard, "b=unavailable c=unavailable ") << "their time was up";
  EXPECT_EQ(sent(), "ad");
  answer(Status::success());
  EXPECT_EQ(heard, "b=unavailable c=unavailable a=yes ") << "late, and true all the same";
  answer(Status::success());
  EXPECT_FALSE(forwarder.has_line(GroupId(1)));
}

// A frame was lost while nobody led, and then this node was elected (seed 402554 of the plan
// lock_deadlocks).
TEST_F(ForwarderTest, a_wrong_guess_that_says_nothing_holds_up_no_line) {
  leader = NodeId();
  deadline_after = Duration::seconds(10);
  command("a");
  fail(Code::kUnavailable);
  advance(20);
  EXPECT_EQ(sent(), "a");
  command("b");
  advance(60);
  EXPECT_EQ(sent(), "a") << "who was asked may be the one that is elected";
  leader = calls.front().target;
  advance(60);
  EXPECT_EQ(sent(), "a");
  leader = NodeId(1);
  lead_here = true;
  advance(20);
  EXPECT_EQ(served, "b");
  EXPECT_FALSE(forwarder.has_line(GroupId(1)));
}

TEST_F(ForwarderTest, what_is_taken_back_goes_to_the_leader_before_what_comes_later) {
  forwarder.take_back(make(ForwardKind::kCommand, "a"), false);
  forwarder.take_back(make(ForwardKind::kCommand, "b"), false);
  command("c");
  EXPECT_EQ(sent(), "a");
  answer(Status::success());
  EXPECT_EQ(sent(), "bc");
  answer(Status::success());
  answer(Status::success());
  EXPECT_EQ(heard, "a=yes b=yes c=yes ");
}

// This node led the group, proposed "a" and "b" and does not know what became of them.
TEST_F(ForwarderTest, what_was_displaced_goes_before_what_came_while_its_outcome_was_open) {
  in_flight = true;
  command("d");
  forwarder.take_back(make(ForwardKind::kCommand, "c"), false);
  advance(20);
  EXPECT_EQ(sent(), "") << "the leader is known, and yet they would overtake";
  forwarder.take_back(make(ForwardKind::kCommand, "b"), true);
  forwarder.take_back(make(ForwardKind::kCommand, "a"), true);
  in_flight = false;
  forwarder.go_on(GroupId(1));
  EXPECT_EQ(sent(), "a");
  answer(Status::success());
  EXPECT_EQ(sent(), "bdc");
  EXPECT_TRUE(overtaken);
}

TEST_F(ForwarderTest, what_waited_for_an_outcome_goes_on_at_once_when_it_is_known) {
  in_flight = true;
  command("a");
  in_flight = false;
  forwarder.go_on(GroupId(1));
  EXPECT_EQ(sent(), "a");
}

TEST_F(ForwarderTest, an_outcome_that_stays_open_holds_up_nobody_for_long) {
  in_flight = true;
  deadline_after = Duration::seconds(10);
  command("a");
  start(ForwardKind::kQuery);
  EXPECT_EQ(sent(), "") << "the query";
  ASSERT_EQ(calls.size(), 1u) << "is held up by nothing";
  answer(Status::success());
  advance(20);
  advance(580);
  EXPECT_EQ(calls.size(), 0u);
  EXPECT_FALSE(overtaken);
  advance(20);
  EXPECT_EQ(sent(), "a");
  EXPECT_TRUE(overtaken) << "what is in flight must not be given back behind it";
}

TEST_F(ForwarderTest, those_that_wait_for_an_outcome_end_when_their_time_is_up) {
  in_flight = true;
  command("a");
  advance(500);
  EXPECT_EQ(heard, "a=unavailable ");
  EXPECT_EQ(sent(), "");
  EXPECT_EQ(forwarder.parked(), 0u);
}

}  // namespace
}  // namespace quorate::node
