// SPDX-License-Identifier: Apache-2.0
#include "rpc/calls.h"

#include <gtest/gtest.h>

#include <deque>
#include <string>
#include <vector>

#include "base/codec.h"
#include "base/limits.h"

namespace quorate::rpc {
namespace {

class FakeClock final : public env::Clock {
 public:
  Instant now() const override { return now_; }
  Stamp wall() const override { return Stamp::from_micros(now_.nanos() / 1000); }
  Instant now_ = Instant::from_nanos(1'000'000);
};

class FakeTimer final : public env::Timer {
 public:
  explicit FakeTimer(FakeClock& clock) : clock_(clock) {}
  env::TimerId start(Instant when, Callback callback) override {
    timers_[++last_] = {when, std::move(callback)};
    return env::TimerId{last_};
  }
  void cancel(env::TimerId id) override { timers_.erase(static_cast<uint64_t>(id)); }
  void defer(Callback callback) override { deferred_.push_back(std::move(callback)); }
  void post(Callback callback) override { deferred_.push_back(std::move(callback)); }

  void advance(Duration duration) {
    clock_.now_ = clock_.now_ + duration;
    for (auto next = timers_.begin(); next != timers_.end();) {
      auto current = next++;
      if (current->second.first <= clock_.now_) {
        Callback callback = std::move(current->second.second);
        timers_.erase(current);
        callback();
      }
    }
  }
  void run_deferred() {
    while (!deferred_.empty()) {
      Callback callback = std::move(deferred_.front());
      deferred_.pop_front();
      callback();
    }
  }
  size_t timers() const { return timers_.size(); }

 private:
  FakeClock& clock_;
  std::map<uint64_t, std::pair<Instant, Callback>> timers_;
  std::deque<Callback> deferred_;
  uint64_t last_ = 0;
};

class FakeNet final : public env::Net {
 public:
  void set_handler(env::NetHandler*) override {}
  void set_peer(NodeId, const std::string&) override {}
  void remove_peer(NodeId) override {}
  bool send(NodeId peer, std::string frame) override {
    if (!up_) {
      return false;
    }
    sent_.emplace_back(peer, std::move(frame));
    return true;
  }
  size_t queued_bytes(NodeId) const override { return 0; }

  bool up_ = true;
  std::vector<std::pair<NodeId, std::string>> sent_;
};

// Node 1, which calls, and node 2, which serves; frames are carried by hand.
struct Side {
  explicit Side(FakeClock& clock, FakeTimer& timer) : outbox(net), calls(clock, timer, outbox) {}
  FakeNet net;
  Outbox outbox;
  Calls calls;
};

class CallsTest : public ::testing::Test {
 protected:
  CallsTest() : timer_(clock_), caller_(clock_, timer_), server_(clock_, timer_) {
    server_.calls.set_handler([this](NodeId from, std::string_view request, Calls::Answer answer) {
      EXPECT_EQ(from, NodeId(1));
      requests_.emplace_back(request);
      answers_.push_back(std::move(answer));
    });
  }

  void call(const std::string& request, Duration timeout = Duration::millis(100)) {
    caller_.calls.call(NodeId(2), request, timeout,
                       [this](const Status& status, std::string_view body) {
                         results_.push_back(status.ok() ? "ok " + std::string(body)
                                                        : std::string(row_of(status.code()).name));
                       });
  }

  static void deliver(Side& source, Side& target, NodeId from) {
    source.outbox.flush();
    for (auto& [peer, frame] : std::exchange(source.net.sent_, {})) {
      FrameReader reader(Buffer::take(std::move(frame)));
      Item item;
      while (reader.next(item)) {
        if (item.kind == ItemKind::kRequest) {
          target.calls.on_request(from, item.bytes.view());
        } else {
          target.calls.on_answer(from, item.bytes.view());
        }
      }
      EXPECT_TRUE(reader.ok());
    }
  }
  void deliver_requests() { deliver(caller_, server_, NodeId(1)); }
  void deliver_answers() { deliver(server_, caller_, NodeId(2)); }

  FakeClock clock_;
  FakeTimer timer_;
  Side caller_;
  Side server_;
  std::vector<std::string> requests_;
  std::vector<Calls::Answer> answers_;
  std::vector<std::string> results_;
};

using Strings = std::vector<std::string>;

TEST_F(CallsTest, answers_find_their_calls_in_any_order) {
  call("a");
  call("b");
  call("c");
  deliver_requests();
  EXPECT_EQ(requests_, (Strings{"a", "b", "c"}));
  answers_[2]("C");
  answers_[0]("A");
  answers_[1].fail(Status(Code::kNotFound, "no b"));
  deliver_answers();
  EXPECT_EQ(results_, (Strings{"ok C", "ok A", "not_found"}));
  EXPECT_EQ(caller_.calls.pending(), 0u);
  EXPECT_EQ(timer_.timers(), 0u);
}

TEST_F(CallsTest, a_call_without_a_link_was_certainly_not_served) {
  caller_.net.up_ = false;
  call("a");
  caller_.outbox.flush();
  EXPECT_TRUE(results_.empty()) << "not inside flush";
  timer_.run_deferred();
  EXPECT_EQ(results_, (Strings{"unavailable"}));
  EXPECT_EQ(timer_.timers(), 0u);
}

TEST_F(CallsTest, a_large_call_without_a_link_was_certainly_not_served) {
  caller_.net.up_ = false;
  call("small");
  call(std::string(limits::kFrameBytesTarget, 'x'));
  EXPECT_TRUE(results_.empty());
  timer_.run_deferred();
  EXPECT_EQ(results_, (Strings{"unavailable", "unavailable"}));
}

TEST_F(CallsTest, a_dropped_frame_ends_only_the_calls_that_travelled_in_it) {
  call("sent");
  caller_.outbox.flush();
  caller_.net.up_ = false;
  call("dropped");
  caller_.outbox.flush();
  timer_.run_deferred();
  EXPECT_EQ(results_, (Strings{"unavailable"}));
  EXPECT_EQ(caller_.calls.pending(), 1u);
}

TEST_F(CallsTest, a_call_whose_link_breaks_after_it_was_sent_may_have_been_served) {
  call("sent");
  caller_.outbox.flush();
  call("not sent");
  caller_.calls.on_link_down(NodeId(2));
  EXPECT_EQ(results_, (Strings{"unknown_outcome"}));
  caller_.net.up_ = false;
  caller_.outbox.flush();
  timer_.run_deferred();
  EXPECT_EQ(results_, (Strings{"unknown_outcome", "unavailable"}));
}

TEST_F(CallsTest, the_link_of_another_node_breaks_no_call) {
  call("a");
  caller_.outbox.flush();
  caller_.calls.on_link_down(NodeId(1));
  caller_.calls.on_link_down(NodeId(3));
  EXPECT_TRUE(results_.empty());
}

TEST_F(CallsTest, a_call_that_is_not_answered_in_time_ends_once) {
  call("a", Duration::millis(10));
  deliver_requests();
  timer_.advance(Duration::millis(9));
  EXPECT_TRUE(results_.empty());
  timer_.advance(Duration::millis(1));
  EXPECT_EQ(results_, (Strings{"unknown_outcome"}));
  answers_[0]("late");
  deliver_answers();
  EXPECT_EQ(results_.size(), 1u);
  EXPECT_EQ(caller_.calls.counters().orphans, 1u);
}

TEST_F(CallsTest, a_request_that_its_server_drops_ends_as_unknown) {
  call("a");
  deliver_requests();
  answers_.clear();
  deliver_answers();
  EXPECT_EQ(results_, (Strings{"unknown_outcome"}));
}

TEST_F(CallsTest, an_answer_from_a_node_that_was_not_asked_is_an_orphan) {
  call("a");
  deliver_requests();
  answers_[0]("A");
  deliver(server_, caller_, NodeId(3));
  EXPECT_TRUE(results_.empty());
  EXPECT_EQ(caller_.calls.counters().orphans, 1u);
}

TEST_F(CallsTest, a_later_process_does_not_take_answers_to_an_earlier_one) {
  call("a");
  deliver_requests();
  clock_.now_ = clock_.now_ + Duration::micros(1);
  Side later(clock_, timer_);
  later.calls.call(NodeId(2), "b", Duration::seconds(1),
                   [](const Status&, std::string_view) { FAIL(); });
  answers_[0]("A");
  deliver(server_, later, NodeId(2));
  EXPECT_EQ(later.calls.counters().orphans, 1u);
}

TEST_F(CallsTest, too_many_open_calls_are_refused) {
  for (size_t i = 0; i < limits::kCallsMax; ++i) {
    call("");
  }
  EXPECT_EQ(caller_.calls.pending(), limits::kCallsMax);
  call("one too many");
  timer_.run_deferred();
  EXPECT_EQ(results_, (Strings{"resource_exhausted"}));
  deliver_requests();
  EXPECT_EQ(answers_.size(), limits::kServedCallsMax);
  deliver_answers();
  EXPECT_EQ(results_.size(), 1 + limits::kCallsMax - limits::kServedCallsMax);
  EXPECT_EQ(results_.back(), "resource_exhausted");
}

TEST_F(CallsTest, what_does_not_fit_into_a_frame_is_refused_at_once) {
  call(std::string(limits::kFrameBytesMax, 'x'));
  EXPECT_EQ(caller_.calls.pending(), 0u);
  timer_.run_deferred();
  EXPECT_EQ(results_, (Strings{"too_large"}));
  call("a");
  deliver_requests();
  answers_[0](std::string(limits::kFrameBytesMax, 'x'));
  deliver_answers();
  EXPECT_EQ(results_, (Strings{"too_large", "too_large"}));
}

TEST_F(CallsTest, an_answer_may_outlive_its_calls) {
  Calls::Answer kept;
  {
    Side side(clock_, timer_);
    side.calls.set_handler(
        [&](NodeId, std::string_view, Calls::Answer answer) { kept = std::move(answer); });
    side.calls.on_request(NodeId(1), "12345678body");
    EXPECT_TRUE(kept);
  }
  kept("nobody is there");
}

TEST_F(CallsTest, a_callback_may_call_again) {
  int rounds = 0;
  std::function<void()> again = [&] {
    caller_.calls.call(NodeId(2), "x", Duration::millis(10), [&](const Status&, std::string_view) {
      if (++rounds < 3) {
        again();
      }
    });
  };
  again();
  caller_.outbox.flush();
  caller_.calls.on_link_down(NodeId(2));
  EXPECT_EQ(rounds, 1);
  caller_.net.up_ = false;
  caller_.outbox.flush();
  timer_.run_deferred();
  caller_.outbox.flush();
  timer_.run_deferred();
  EXPECT_EQ(rounds, 3);
}

TEST_F(CallsTest, a_request_that_the_network_doubles_is_served_once) {
  std::string item;
  Writer writer(item);
  writer.u64(77);
  writer.raw("add one");
  server_.calls.on_request(NodeId(1), item);
  server_.calls.on_request(NodeId(1), item);
  EXPECT_EQ(requests_.size(), 1u);
  EXPECT_EQ(server_.calls.counters().doubled, 1u);
}

TEST(Served, numbers_are_taken_once_in_any_order_and_a_new_process_starts_anew) {
  const auto served = std::make_unique<Served>();
  const uint64_t base = UINT64_MAX - 10;  // the numbers wrap
  for (const uint64_t id : {base, base + 2, base + 1, base + 20}) {
    EXPECT_TRUE(served->take(id));
    EXPECT_FALSE(served->take(id));
  }
  EXPECT_TRUE(served->take(base + 20 + Served::kWindow));
  EXPECT_FALSE(served->take(base + 20)) << "older than the window: never served";
  EXPECT_TRUE(served->take(base + 21)) << "still inside of it";
  EXPECT_TRUE(served->take(base / 2)) << "another process";
  EXPECT_FALSE(served->take(base / 2));
}

TEST_F(CallsTest, malformed_items_are_counted_and_ignored) {
  for (const char* bytes : {"", "1234567"}) {
    server_.calls.on_request(NodeId(1), bytes);
    caller_.calls.on_answer(NodeId(2), bytes);
  }
  caller_.calls.on_answer(NodeId(2), "12345678\xff");
  EXPECT_EQ(server_.calls.counters().malformed, 2u);
  EXPECT_EQ(caller_.calls.counters().malformed, 3u);
}

// ---- outbox ----

void append(Outbox& outbox, NodeId peer, GroupId group, const std::string& bytes) {
  outbox.add(peer, group, ItemKind::kRaft, [&](std::string& out) { out.append(bytes); });
}

TEST(Outbox, all_groups_of_one_turn_share_one_frame_per_peer) {
  FakeNet net;
  Outbox outbox(net);
  for (uint32_t group = 1; group <= 5; ++group) {
    append(outbox, NodeId(3), GroupId(group), "to 3");
    append(outbox, NodeId(2), GroupId(group), "to 2");
  }
  EXPECT_TRUE(net.sent_.empty());
  outbox.flush();
  ASSERT_EQ(net.sent_.size(), 2u);
  EXPECT_EQ(net.sent_[0].first, NodeId(2));
  FrameReader reader(Buffer::copy(net.sent_[1].second));
  Item item;
  for (uint32_t group = 1; group <= 5; ++group) {
    ASSERT_TRUE(reader.next(item));
    EXPECT_EQ(item.group, GroupId(group));
    EXPECT_EQ(item.bytes.view(), "to 3");
  }
  outbox.flush();
  EXPECT_EQ(net.sent_.size(), 2u) << "an empty frame is not sent";
}

TEST(Outbox, a_frame_leaves_early_when_it_is_full) {
  FakeNet net;
  Outbox outbox(net);
  for (int i = 0; i < 5; ++i) {
    append(outbox, NodeId(2), GroupId(1), std::string(limits::kFrameBytesTarget / 2, 'x'));
  }
  EXPECT_EQ(net.sent_.size(), 2u);
  outbox.flush();
  EXPECT_EQ(net.sent_.size(), 3u);
}

TEST(Outbox, an_item_that_would_burst_the_frame_gets_its_own) {
  FakeNet net;
  Outbox outbox(net);
  append(outbox, NodeId(2), GroupId(1), std::string(limits::kFrameBytesTarget - 100, 'x'));
  append(outbox, NodeId(2), GroupId(2), std::string(kItemBytesMax, 'y'));
  ASSERT_EQ(net.sent_.size(), 2u);
  FrameReader reader(Buffer::take(std::move(net.sent_[1].second)));
  Item item;
  ASSERT_TRUE(reader.next(item));
  EXPECT_EQ(item.group, GroupId(2));
  EXPECT_EQ(item.bytes.size(), kItemBytesMax);
}

TEST(Outbox, an_item_that_fits_no_frame_is_dropped_and_counted) {
  FakeNet net;
  Outbox outbox(net);
  append(outbox, NodeId(2), GroupId(1), "before");
  append(outbox, NodeId(2), GroupId(1), std::string(limits::kFrameBytesMax, 'x'));
  append(outbox, NodeId(2), GroupId(1), "after");
  outbox.flush();
  EXPECT_EQ(outbox.counters().items_oversized, 1u);
  EXPECT_EQ(outbox.counters().items, 2u);
}

TEST(Outbox, refused_frames_are_counted_and_told) {
  FakeNet net;
  Outbox outbox(net);
  std::vector<uint64_t> told;
  outbox.set_drop_handler([&](NodeId peer, uint64_t frame) {
    EXPECT_EQ(peer, NodeId(2));
    told.push_back(frame);
  });
  append(outbox, NodeId(2), GroupId(1), "x");
  outbox.flush();
  net.up_ = false;
  append(outbox, NodeId(2), GroupId(1), "x");
  outbox.flush();
  EXPECT_EQ(told, (std::vector<uint64_t>{2}));
  EXPECT_EQ(outbox.counters().frames_dropped, 1u);
}

}  // namespace
}  // namespace quorate::rpc
