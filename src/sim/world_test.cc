// SPDX-License-Identifier: Apache-2.0
// Virtual time, lives, clocks, timers and links.
#include "sim/world.h"

#include <gtest/gtest.h>

#include <memory>

#include "sim/net.h"
#include "sim/process.h"

namespace quorate::sim {
namespace {

TEST(world, events_run_by_time_and_then_by_the_order_in_which_they_were_made) {
  World world(1);
  std::string order;
  world.after(Duration::millis(2), [&] { order += 'c'; });
  world.after(Duration::millis(1), [&] { order += 'a'; });
  world.after(Duration::millis(1), [&] { order += 'b'; });
  world.run_until(Instant() + Duration::seconds(1));
  EXPECT_EQ(order, "abc");
  EXPECT_EQ(world.events(), 3u);
  EXPECT_EQ(world.now(), Instant() + Duration::seconds(1));
}

TEST(world, the_events_of_an_ended_life_never_run) {
  World world(1);
  const LifeId life = world.begin_life();
  bool ran = false;
  world.after(life, Duration::millis(1), [&] { ran = true; });
  world.end_life(life);
  world.run_until(Instant() + Duration::seconds(1));
  EXPECT_FALSE(ran);
}

TEST(world, the_events_of_a_paused_life_wait_and_then_come_in_order) {
  World world(1);
  const LifeId life = world.begin_life();
  std::string order;
  world.after(life, Duration::millis(1), [&] { order += 'a'; });
  world.after(life, Duration::millis(2), [&] { order += 'b'; });
  world.pause(life);
  world.after(Duration::millis(5), [&] {
    EXPECT_EQ(order, "");
    world.resume(life);
  });
  world.run_until(Instant() + Duration::seconds(1));
  EXPECT_EQ(order, "ab");
}

TEST(clock, runs_fast_or_slow_by_its_drift_and_never_back) {
  World world(1);
  ClockModel model(world);
  model.set_drift(-40'000);
  Instant before = model.local();
  const Instant start = before;
  for (int i = 0; i < 5000; ++i) {
    world.run_until(world.now() + Duration::nanos(777));
    ASSERT_GE(model.local(), before);
    before = model.local();
  }
  const int64_t elapsed = (world.now() - Instant()).nanos();
  EXPECT_NEAR(static_cast<double>((before - start).nanos()), static_cast<double>(elapsed) * 0.96,
              2.0);
}

TEST(clock, a_jump_moves_the_wall_and_leaves_the_monotonic_clock) {
  World world(1);
  ClockModel model(world);
  const Stamp wall = model.wall();
  const Instant local = model.local();
  model.jump(Duration::seconds(-3600));
  EXPECT_EQ(model.local(), local);
  EXPECT_EQ(model.wall(), wall - Duration::seconds(3600));
}

TEST(timer, fires_at_or_after_its_time_by_the_local_clock_whatever_the_drift) {
  for (const int64_t drift : {-40'000, -1, 0, 3, 40'000}) {
    World world(7);
    ClockModel model(world);
    model.set_drift(drift);
    Timer timer(world, model, world.begin_life());
    const Instant due = model.local() + Duration::millis(150);
    Instant fired;
    timer.start(due, [&] { fired = model.local(); });
    world.after(Duration::millis(70), [&] { model.set_drift(drift / 2 - 5); });
    world.run_until(Instant() + Duration::seconds(1));
    EXPECT_GE(fired, due);
    EXPECT_LT(fired, due + Duration::millis(5)) << drift;
  }
}

TEST(timer, a_cancelled_timer_does_not_fire) {
  World world(1);
  ClockModel model(world);
  Timer timer(world, model, world.begin_life());
  const env::TimerId id = timer.start(model.local(), [] { FAIL(); });
  timer.cancel(id);
  world.run_until(Instant() + Duration::seconds(1));
}

TEST(timer, what_is_deferred_runs_in_one_turn_and_what_that_defers_in_the_next) {
  World world(1);
  ClockModel model(world);
  Timer timer(world, model, world.begin_life());
  std::string order;
  timer.defer([&] {
    order += 'a';
    timer.defer([&] { order += 'c'; });
  });
  timer.defer([&] { order += 'b'; });
  EXPECT_EQ(order, "");
  world.run_until(Instant() + Duration::seconds(1));
  EXPECT_EQ(order, "abc");
}

struct Ear : env::NetHandler {
  void on_frame(NodeId from, std::string_view frame) override {
    heard += std::to_string(from.value()) + ":" + std::string(frame) + " ";
  }
  void on_link(NodeId peer, bool up) override {
    heard += (up ? "+" : "-") + std::to_string(peer.value()) + " ";
  }
  std::string heard;
};

struct Pair {
  explicit Pair(uint64_t seed) : world(seed), network(world) {
    a = std::make_unique<Net>(network, NodeId(1), life_a = world.begin_life());
    b = std::make_unique<Net>(network, NodeId(2), life_b = world.begin_life());
    a->set_handler(&ear_a);
    b->set_handler(&ear_b);
    a->set_peer(NodeId(2), Network::address_of(NodeId(2)));
    b->set_peer(NodeId(1), Network::address_of(NodeId(1)));
    run(Duration::millis(10));
  }
  void run(Duration duration) { world.run_until(world.now() + duration); }

  World world;
  Network network;
  LifeId life_a, life_b;
  Ear ear_a, ear_b;
  std::unique_ptr<Net> a, b;
};

TEST(net, frames_arrive_in_order_on_a_link_without_faults) {
  Pair pair(3);
  for (const char* frame : {"x", "y", "z"}) {
    EXPECT_TRUE(pair.a->send(NodeId(2), frame));
  }
  pair.run(Duration::seconds(1));
  EXPECT_EQ(pair.ear_b.heard, "+1 1:x 1:y 1:z ");
}

TEST(net, a_one_way_cut_swallows_one_direction_and_then_the_link_breaks_at_its_sender) {
  Pair pair(3);
  pair.network.cut(NodeId(1), NodeId(2));
  EXPECT_TRUE(pair.a->send(NodeId(2), "lost"));
  EXPECT_TRUE(pair.b->send(NodeId(1), "heard"));
  pair.run(Duration::millis(300));
  EXPECT_EQ(pair.ear_b.heard, "+1 ");
  EXPECT_EQ(pair.ear_a.heard, "+2 2:heard ");
  pair.run(Duration::seconds(5));
  EXPECT_EQ(pair.ear_a.heard, "+2 2:heard -2 ");
  EXPECT_FALSE(pair.a->send(NodeId(2), "refused"));
  pair.network.heal_all();
  pair.run(Duration::seconds(1));
  EXPECT_TRUE(pair.a->send(NodeId(2), "again"));
  pair.run(Duration::seconds(1));
  EXPECT_EQ(pair.ear_b.heard, "+1 1:again ");
}

TEST(net, the_end_of_a_process_breaks_the_links_of_its_peers) {
  Pair pair(3);
  pair.world.end_life(pair.life_b);
  pair.b.reset();
  pair.run(Duration::millis(100));
  EXPECT_EQ(pair.ear_a.heard, "+2 -2 ");
}

// Or else the new process hears the old one's peers and, knowing nobody, cannot answer them.
TEST(net, a_link_to_a_process_that_ended_unseen_is_reset_and_made_anew) {
  Pair pair(3);
  pair.network.cut(NodeId(1), NodeId(2));
  pair.network.cut(NodeId(2), NodeId(1));
  pair.world.end_life(pair.life_b);
  pair.b.reset();
  pair.network.heal_all();
  pair.life_b = pair.world.begin_life();
  pair.b = std::make_unique<Net>(pair.network, NodeId(2), pair.life_b);
  Ear ear;
  pair.b->set_handler(&ear);
  EXPECT_TRUE(pair.a->send(NodeId(2), "to the one before"));
  pair.run(Duration::seconds(1));
  EXPECT_EQ(pair.ear_a.heard, "+2 -2 +2 ");
  EXPECT_EQ(ear.heard, "+1 ");
  EXPECT_TRUE(pair.a->send(NodeId(2), "x"));
  EXPECT_TRUE(pair.b->send(NodeId(1), "y"));
  pair.run(Duration::seconds(1));
  EXPECT_EQ(pair.ear_a.heard, "+2 -2 +2 2:y ");
  EXPECT_EQ(ear.heard, "+1 1:x ");
}

TEST(net, what_a_process_sent_is_lost_once_its_successor_is_connected) {
  Pair pair(3);
  LinkModel slow = pair.network.model();
  slow.delay_min = slow.delay_max = Duration::millis(500);
  pair.network.set_model(slow);
  EXPECT_TRUE(pair.b->send(NodeId(1), "late"));
  pair.world.end_life(pair.life_b);
  pair.b.reset();
  pair.life_b = pair.world.begin_life();
  pair.b = std::make_unique<Net>(pair.network, NodeId(2), pair.life_b);
  Ear ear;
  pair.b->set_handler(&ear);
  pair.b->set_peer(NodeId(1), Network::address_of(NodeId(1)));
  pair.run(Duration::seconds(1));
  EXPECT_EQ(pair.ear_a.heard.find("late"), std::string::npos) << pair.ear_a.heard;
  EXPECT_TRUE(pair.b->send(NodeId(1), "new"));
  pair.run(Duration::seconds(1));
  EXPECT_TRUE(pair.ear_a.heard.ends_with("2:new ")) << pair.ear_a.heard;
}

struct Answering : Ear {
  void on_frame(NodeId from, std::string_view frame) override {
    Ear::on_frame(from, frame);
    EXPECT_TRUE(net->send(from, "answer"));
  }
  Net* net = nullptr;
};

struct Asking : Ear {
  void on_link(NodeId peer, bool up) override {
    Ear::on_link(peer, up);
    EXPECT_TRUE(net->send(peer, "question"));
  }
  Net* net = nullptr;
};

TEST(net, whoever_is_called_while_it_waits_to_dial_can_answer_at_once) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    World world(seed);
    Network network(world);
    Net called(network, NodeId(2), world.begin_life());
    Answering answering;
    answering.net = &called;
    called.set_handler(&answering);
    called.set_peer(NodeId(1), Network::address_of(NodeId(1)));
    world.run_until(Instant() + Duration::millis(100));
    Net caller(network, NodeId(1), world.begin_life());
    Asking asking;
    asking.net = &caller;
    caller.set_handler(&asking);
    caller.set_peer(NodeId(2), Network::address_of(NodeId(2)));
    world.run_until(world.now() + Duration::seconds(1));
    EXPECT_EQ(asking.heard, "+2 2:answer ") << "seed " << seed;
  }
}

TEST(net, a_full_queue_refuses) {
  Pair pair(3);
  LinkModel model;
  model.bytes_per_second = 1000;
  model.queue_bytes_max = 100;
  pair.network.set_model(model);
  EXPECT_TRUE(pair.a->send(NodeId(2), std::string(90, 'x')));
  EXPECT_EQ(pair.a->queued_bytes(NodeId(2)), 90u);
  EXPECT_FALSE(pair.a->send(NodeId(2), std::string(20, 'x')));
  pair.run(Duration::seconds(1));
  EXPECT_EQ(pair.a->queued_bytes(NodeId(2)), 0u);
}

TEST(net, frames_may_be_lost_doubled_and_reordered_and_equal_seeds_give_equal_runs) {
  const auto run = [](uint64_t seed) {
    Pair pair(seed);
    LinkModel model;
    model.loss_ppm = model.duplicate_ppm = model.reorder_ppm = 200'000;
    pair.network.set_model(model);
    for (int i = 0; i < 200; ++i) {
      pair.a->send(NodeId(2), std::to_string(i));
    }
    pair.run(Duration::seconds(1));
    EXPECT_GT(pair.network.stats().lost, 0u);
    EXPECT_GT(pair.network.stats().doubled, 0u);
    EXPECT_GT(pair.network.stats().reordered, 0u);
    return std::pair(pair.ear_b.heard, pair.world.hash());
  };
  EXPECT_EQ(run(5), run(5));
  EXPECT_NE(run(5), run(6));
}

}  // namespace
}  // namespace quorate::sim
