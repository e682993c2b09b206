// SPDX-License-Identifier: Apache-2.0
// The transcripts of the lock machine: each verb goes through its bytes, as on a real node.
#include "service/lock/state.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "service/lock/record.h"
#include "testing/transcript.h"

namespace quorate::service::lock {
namespace {

using testing::Line;
using testing::ScriptError;

std::string text(uint64_t number) { return std::to_string(number); }

std::string seconds(Duration duration) {
  const int64_t millis = duration.millis();
  return millis % 1'000 == 0 ? std::to_string(millis / 1'000) + "s" : std::to_string(millis) + "ms";
}

Duration duration_of(const Line& line, std::string_view option) {
  return line.has(option) ? Duration::micros(testing::parse_duration_micros(line.option(option)))
                          : Duration();
}

class LockScript final : public testing::Script {
 public:
  std::string run(const Line& line) override {
    if (line.verb == "advance") {
      now_ = now_ + Duration::micros(testing::parse_duration_micros(line.arg(0)));
      return "";
    }
    if (line.verb == "due") {
      return run_due(line);
    }
    if (line.verb == "restart") {
      return restart();
    }
    if (const std::optional<Query> query = make_query(line); query.has_value()) {
      std::string bytes;
      answer_.clear();
      encode(*query, bytes);
      machine_->query(bytes, now_, answer_);
      return shown(line, decode_answer(answer_));
    }
    return shown(line, apply(make_command(line)));
  }

 private:
  static std::unique_ptr<Hosted> make() { return host<State>(State::Options{.hash_seed = 1}); }

  Answer apply(const Command& command) {
    std::string bytes;
    encode(command, bytes);
    answer_.clear();
    machine_->apply(bytes, {now_, ++index_}, &answer_);
    machine_->check_invariants();
    return decode_answer(answer_);
  }

  // What the leader has heard: `due a b:3s` of a just now, of b three seconds ago, of no others.
  class Known final : public Heard {
   public:
    explicit Known(const Line& line) {
      for (const std::string& owner : line.args) {
        const size_t at = owner.find(':');
        silences_[owner_key(DomainId(), owner.substr(0, at))] =
            at == std::string::npos ? Duration()
                                    : Duration::micros(testing::parse_duration_micros(
                                          std::string_view(owner).substr(at + 1)));
      }
    }
    [[nodiscard]] Duration silence_of(ServiceId, std::string_view subject) const override {
      const auto found = silences_.find(std::string(subject));
      return found == silences_.end() ? Duration::seconds(1'000'000) : found->second;
    }

   private:
    std::map<std::string, Duration> silences_;
  };

  // As the leader would: while something is due, of those whom it has not heard.
  std::string run_due(const Line& line) {
    Expired sum;
    while (machine_->next_due() <= now_) {
      const DueStep step = machine_->due_step(now_, Known(line));
      if (step.command.empty()) {
        return "ended " + text(sum.owners) + " owners, " + text(sum.waits) +
               " waits; those that are due were heard, look again in " + seconds(step.pause);
      }
      const Expired expired = std::get<Expired>(apply(*decode_command(step.command)));
      sum.owners += expired.owners;
      sum.waits += expired.waits;
    }
    return "ended " + text(sum.owners) + " owners, " + text(sum.waits) + " waits";
  }

  // Through a snapshot into a fresh machine.
  std::string restart() {
    std::string image;
    {
      const std::unique_ptr<SnapshotSource> source = machine_->freeze();
      while (source->next(64, image)) {
      }
    }
    std::unique_ptr<Hosted> fresh = make();
    fresh->restore_begin();
    for (size_t at = 0; at < image.size(); at += 7) {
      if (Status status = fresh->restore_piece(std::string_view(image).substr(at, 7));
          !status.ok()) {
        return status.to_string();
      }
    }
    if (Status status = fresh->restore_end(); !status.ok()) {
      return status.to_string();
    }
    fresh->check_invariants();
    const bool is_same = fresh->digest() == machine_->digest();
    machine_ = std::move(fresh);
    return is_same ? "restored, the digest is the same" : "restored, the digest differs";
  }

  // --- From a line to a command --------------------------------------------------------------

  static OwnerRef owner_of(const Line& line) {
    return {DomainId(static_cast<uint32_t>(line.option_number("domain", 0))), line.arg(0)};
  }

  // "r:/a" is shared, "2/5:/a" two permits of five, "/a" exclusive.
  static Acquire::Item item_of(std::string_view word) {
    const size_t colon = word.find(':');
    if (colon == std::string_view::npos) {
      return {.name = word};
    }
    const std::string_view kind = word.substr(0, colon);
    const size_t slash = kind.find('/');
    if (slash == std::string_view::npos) {
      return {.name = word.substr(colon + 1), .mode = Mode::kShared};
    }
    return {.name = word.substr(colon + 1),
            .mode = Mode::kPermits,
            .permits = testing::parse_number(kind.substr(0, slash)),
            .limit = testing::parse_number(kind.substr(slash + 1))};
  }

  static Command make_command(const Line& line) {
    const DomainId domain(static_cast<uint32_t>(line.option_number("domain", 0)));
    if (line.verb == "break") {
      return Break{domain, line.arg(0), line.has_arg(1) ? line.arg(1) : std::string_view()};
    }
    const OwnerRef who = owner_of(line);
    if (line.verb == "open") {
      return Open{who, duration_of(line, "lease")};
    }
    if (line.verb == "renew") {
      return Renew{who};
    }
    if (line.verb == "close") {
      return Close{who};
    }
    if (line.verb == "acquire") {
      Acquire acquire{who, {}, duration_of(line, "wait"), duration_of(line, "lease")};
      for (size_t at = 1; at < line.args.size(); ++at) {
        acquire.items.push_back(item_of(line.args[at]));
      }
      return acquire;
    }
    if (line.verb == "upgrade") {
      return Upgrade{who, line.arg(1), duration_of(line, "wait")};
    }
    if (line.verb == "downgrade") {
      return Downgrade{who, line.arg(1)};
    }
    if (line.verb == "release") {
      return Release{who, line.arg(1), line.option_number("count", 1),
                     Token(line.option_number("token", 0))};
    }
    if (line.verb == "cancel") {
      return Cancel{who, Ticket(line.option_number("ticket", 0))};
    }
    if (line.verb == "resolve") {
      return Resolve{who, Ticket(line.option_number("ticket", 0)), "a cycle"};
    }
    throw ScriptError("unknown verb " + line.verb);
  }

  static std::optional<Query> make_query(const Line& line) {
    const DomainId domain(static_cast<uint32_t>(line.option_number("domain", 0)));
    if (line.verb == "wait") {
      return WaitOf{owner_of(line)};
    }
    if (line.verb == "info") {
      return Info{domain, line.arg(0)};
    }
    if (line.verb == "list") {
      return List{domain, line.has_arg(0) ? line.arg(0) : std::string_view(),
                  line.has("after") ? line.option("after") : std::string_view(),
                  line.option_number("limit", 0)};
    }
    if (line.verb == "owner") {
      return OwnerOf{owner_of(line), {}};
    }
    if (line.verb == "stats") {
      return Stats{};
    }
    if (line.verb == "alive") {
      Heartbeat beat;
      for (const std::string& owner : line.args) {
        beat.owners.push_back({domain, owner});
      }
      return beat;
    }
    if (line.verb == "edges") {
      return Edges{{line.args.begin(), line.args.end()}};
    }
    return std::nullopt;
  }

  // --- From an answer to lines ---------------------------------------------------------------

  [[nodiscard]] std::string in(Stamp stamp) const { return seconds(stamp - now_); }

  std::string shown(const Line& line, const Answer& answer) {
    return std::visit([&](const auto& fields) { return show(line, fields); }, answer);
  }

  std::string show(const Line&, const Status& status) { return status.to_string(); }
  std::string show(const Line& line, const Owned& owned) {
    return line.arg(0) + (owned.opened ? " is there until " : " lives on until ") +
           in(owned.lease_end);
  }
  std::string show(const Line& line, const Closed& closed) {
    return line.arg(0) + " gave back " + text(closed.released);
  }
  std::string show(const Line& line, const Acquired& acquired) {
    if (acquired.granted) {
      return line.arg(0) + " holds it, token " + text(acquired.token.value());
    }
    return line.arg(0) + " waits, " + text(acquired.ahead) + " before it, for " +
           in(acquired.deadline);
  }
  std::string show(const Line& line, const Released& released) {
    return released.left == 0 ? line.arg(0) + " released it"
                              : line.arg(0) + " still holds " + text(released.left);
  }
  std::string show(const Line& line, const Cancelled& cancelled) {
    return line.arg(0) + (cancelled.cancelled ? " waits no more" : " was not waiting");
  }
  std::string show(const Line&, const Broken& broken) { return "broke " + text(broken.count); }
  std::string show(const Line&, const Expired&) { return ""; }
  std::string show(const Line& line, const WaitStatus& wait) {
    std::string said = line.arg(0) + " " + std::string(name_of(wait.state));
    if (wait.state == WaitState::kGranted) {
      said += ", token " + text(wait.token.value());
    } else if (wait.state == WaitState::kWaiting) {
      said += ", " + text(wait.ahead) + " before it, for " + in(wait.deadline);
    }
    return said + ", lease " + in(wait.lease_end) +
           (wait.cycle.empty() ? "" : ", " + std::string(wait.cycle));
  }
  std::string show(const Line& line, const Alive& alive) {
    std::string said;
    for (size_t at = 0; at < alive.lives.size(); ++at) {
      const Alive::Life& life = alive.lives[at];
      said += line.arg(at) + " ";
      said += life.number.none() ? "is lost\n" : "for " + in(life.lease_end) + "\n";
    }
    return said;
  }
  std::string show(const Line&, const Graph& graph) {
    std::string said;
    for (const WaitEdges& wait : graph.waits) {
      said += std::string(wait.who.owner) + " of domain " + text(wait.who.domain.value()) + ":";
      for (const WaitEdges::Item& item : wait.items) {
        said += " " + std::string(item.name);
        said += item.limit == 0 ? "" : " " + text(item.permits) + "/" + text(item.limit);
        for (const Blocker& blocker : item.blockers) {
          said += " <" + std::string(blocker.owner) +
                  (blocker.count == 0 ? "" : " x" + text(blocker.count)) + ">";
        }
      }
      said += "\n";
    }
    return said.empty() ? "nobody waits" : said;
  }
  std::string show(const Line&, const LockDetails& details) {
    std::string said;
    if (details.limit != 0) {
      said += text(details.used) + " of " + text(details.limit) + " permits\n";
    }
    for (const Holder& holder : details.holders) {
      said += "held " + std::string(name_of(holder.mode)) + " by " + std::string(holder.owner) +
              " x" + text(holder.count) + ", token " + text(holder.token.value()) + "\n";
    }
    for (const Waiter& waiter : details.waiters) {
      said += std::string(waiter.owner) + (waiter.is_upgrade ? " upgrades" : " waits ") +
              (waiter.is_upgrade ? "" : std::string(name_of(waiter.mode))) +
              (waiter.permits == 0 ? "" : " " + text(waiter.permits)) + "\n";
    }
    return said;
  }
  std::string show(const Line&, const LockPage& page) {
    std::string said;
    for (const LockSummary& lock : page.locks) {
      said += std::string(lock.name) + " " + std::string(name_of(lock.mode)) + " held by " +
              text(lock.holders) +
              (lock.holders == 0
                   ? ""
                   : " (" + std::string(lock.owner) + ", token " + text(lock.token.value()) + ")") +
              ", waited for by " + text(lock.waiters) + "\n";
    }
    return said + (page.more ? "more" : "end");
  }
  std::string show(const Line& line, const OwnerDetails& details) {
    std::string said = line.arg(0) + (details.is_transient ? " (transient)" : "") + " lease " +
                       seconds(details.lease) + ", ends in " + in(details.wait.lease_end) + "\n";
    for (const Held& held : details.held) {
      said += "holds " + std::string(held.name) + " " + std::string(name_of(held.mode)) + " x" +
              text(held.count) + "\n";
    }
    for (const std::string_view name : details.waits_for) {
      said += "waits for " + std::string(name) + "\n";
    }
    return said;
  }
  std::string show(const Line&, const Usage& usage) {
    return text(usage.locks) + " locks, " + text(usage.holds) + " holds, " + text(usage.waits) +
           " waits, " + text(usage.owners) + " owners\n" + text(usage.grants) + " grants, " +
           text(usage.queued) + " queued, " + text(usage.timed_out) + " timed out, " +
           text(usage.leases_lost) + " leases lost, " + text(usage.broken) + " broken, " +
           text(usage.deadlocks_detected) + " deadlocks, " + text(usage.deadlocks_resolved) +
           " resolved";
  }

  std::unique_ptr<Hosted> machine_ = make();
  Stamp now_ = Stamp::from_millis(1'000'000);
  Index index_;
  std::string answer_;
};

TEST(lock_state, transcripts) {
  testing::check_transcripts(QUORATE_TESTDATA, [] { return std::make_unique<LockScript>(); });
}

TEST(lock_state, an_unused_machine_adds_nothing_to_the_digest_of_its_group) {
  EXPECT_EQ(State().digest(), 0u);
}

TEST(lock_state, a_damaged_image_leaves_an_empty_machine) {
  State state;
  const OwnerRef who{DomainId(), "a"};
  (void)state.apply(Acquire{who, {{.name = "x"}}, {}, Duration::seconds(5)},
                    {Stamp::from_millis(1), Index(1)});
  std::string image;
  {
    const std::unique_ptr<SnapshotSource> source = state.freeze();
    while (source->next(4'096, image)) {
    }
  }
  for (size_t cut = 0; cut < image.size(); ++cut) {
    State fresh;
    fresh.restore_begin();
    Status status = fresh.restore_piece(std::string_view(image).substr(0, cut));
    if (status.ok()) {
      status = fresh.restore_end();
    }
    EXPECT_FALSE(status.ok()) << cut;
    EXPECT_EQ(fresh.digest(), 0u) << cut;
    fresh.check_invariants();
  }
}

// Owners that were heard, though by the clock all their leases were over long ago: of many that end
// at different times, and of many that end at one.
TEST(lock_leases, of_many_owners_that_were_heard_none_ends) {
  class HeardNow final : public Heard {
    [[nodiscard]] Duration silence_of(ServiceId, std::string_view) const override { return {}; }
  };
  for (const Duration apart : {Duration::millis(3), Duration()}) {
    State state;
    uint64_t index = 0;
    Stamp now = Stamp::from_millis(1'000);
    constexpr size_t kOwners = 2'500;
    for (size_t n = 0; n < kOwners; ++n) {
      const std::string name = "o" + std::to_string(n);
      (void)state.apply(Open{{DomainId(), name}, Duration::seconds(10)}, {now, Index(++index)});
      now = now + apart;
    }
    now = now + Duration::seconds(3'600);
    size_t steps = 0;
    for (; state.next_due() <= now; ++steps) {
      const DueStep step = state.due_step(now, HeardNow());
      if (step.command.empty()) {
        break;  // the few that are left are heard too, and let be
      }
      const Answer answer = state.apply(*decode_command(step.command), {now, Index(++index)});
      ASSERT_EQ(std::get<Expired>(answer).owners, 0u);
      ASSERT_LT(steps, kOwners);
    }
    EXPECT_GT(steps, 1u);
    EXPECT_EQ(
        std::get<Expired>(state.apply(ExpireDue{.through = now}, {now, Index(++index)})).owners,
        apart == Duration() ? 0u : kOwners % 64);
  }
}

}  // namespace
}  // namespace quorate::service::lock
