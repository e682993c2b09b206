// SPDX-License-Identifier: Apache-2.0
// quorate lock NAME -- CMD: a command that runs only while it holds a lock.
//
// An owner of its own is opened, kept alive by a thread, and closed at the end, whatever the end.
// Whether the lease still stands is decided here by this machine's steady clock: it is good for so
// long after the moment before the last renewal that succeeded was sent, whatever the network does
// since. Once it is over, the command is told to end (TERM) and after a grace made to (KILL).
#include <algorithm>
#include <atomic>
#include <boost/json/serialize.hpp>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstring>
#include <mutex>
#include <thread>

#include "cli/lock/child.h"
#include "cli/lock/lock_commands.h"
#include "cli/requests.h"

namespace quorate::cli {

namespace json = boost::json;
using client::Answer;

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kLost = 5;  // the lease was lost, and the command ended for that
constexpr auto kPauseBetweenWaits = std::chrono::milliseconds(50);
// Nobody waits longer; the machine would refuse it.
constexpr Duration kWaitMost = Duration::seconds(86'400);

std::chrono::nanoseconds nanos(Duration duration) {
  return std::chrono::nanoseconds(duration.nanos());
}

// "1500ms", "30s", "10m", "2h", or seconds.
Result<Duration> duration_of(const Arguments& arguments, std::string_view flag,
                             Duration otherwise) {
  const auto text = arguments.value(flag);
  if (!text) {
    return otherwise;
  }
  std::string_view digits = *text;
  int64_t unit = 1'000;
  for (const auto& [suffix, millis] : {std::pair<std::string_view, int64_t>("ms", 1),
                                       {"s", 1'000},
                                       {"m", 60'000},
                                       {"h", 3'600'000}}) {
    if (digits.ends_with(suffix)) {
      digits.remove_suffix(suffix.size());
      unit = millis;
      break;
    }
  }
  const Result<uint64_t> count = parse_whole(digits, flag);
  if (!count.ok() || *count > static_cast<uint64_t>(kWaitMost.millis() / unit)) {
    return Status(Code::kInvalidArgument,
                  std::string(flag) + " is a time of at most a day, such as 1500ms, 30s or 10m");
  }
  return Duration::millis(static_cast<int64_t>(*count) * unit);
}

// Keeps an owner alive.
class Keeper {
 public:
  // Before: the owner was opened by a call that began at `since`.
  Keeper(client::Options options, std::string target, Duration lease, Clock::time_point since)
      : lease_(lease), good_until_(since + nanos(lease)) {
    // A try that hangs must not cost the lease.
    options.timeout = Duration::nanos(lease.nanos() / 3);
    options.try_timeout = Duration::nanos(lease.nanos() / 6);
    thread_ =
        std::thread([this, options, call = client::Call{"POST", std::move(target), {}, {}, true}] {
          run(options, call);
        });
  }
  ~Keeper() {
    {
      const std::lock_guard guard(mutex_);
      ends_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }
  [[nodiscard]] bool lost() const { return lost_ || Clock::now() >= good_until_.load(); }

 private:
  void run(const client::Options& options, const client::Call& call) {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);  // they are for the thread that minds the command
    client::HttpClient http(options);
    std::unique_lock guard(mutex_);
    while (!ends_ && !lost_) {
      guard.unlock();
      const Clock::time_point sent = Clock::now();
      const Result<Answer> answer = http.call(call);
      if (answer.ok()) {
        good_until_ = sent + nanos(lease_);
      } else if (answer.status().code() == Code::kLeaseLost) {
        lost_ = true;
      }
      guard.lock();
      const auto pause = nanos(lease_) / (answer.ok() ? 3 : 20);
      wake_.wait_for(guard, pause, [this] { return ends_; });
    }
  }

  const Duration lease_;
  std::atomic<Clock::time_point> good_until_;
  std::atomic<bool> lost_ = false;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool ends_ = false;  // guarded by mutex_
  std::thread thread_;
};

// Until the command has ended; true if it had to, because the lease was lost. Then nothing that it
// began goes on either.
bool attend(Child& child, const Keeper& keeper, Duration grace) {
  while (!child.ended()) {
    child.attend();
    if (keeper.lost()) {
      break;
    }
  }
  if (!keeper.lost()) {
    return false;
  }
  child.signal_all(SIGTERM);
  child.signal_all(SIGCONT);  // who is stopped hears it too
  const Clock::time_point kill_at = Clock::now() + nanos(grace);
  while (!child.all_ended()) {
    child.attend();
    if (Clock::now() >= kill_at) {
      child.signal_all(SIGKILL);  // again and again: they may begin others meanwhile
    }
  }
  return true;
}

// ---- the lock -----------------------------------------------------------------------------------

struct Plan {
  std::string owner;
  Duration lease;
  Duration wait;
  Duration grace;
  json::object body;
};

Result<Plan> plan_of(const Session& session) {
  const Arguments& arguments = session.arguments();
  const bool tries = arguments.has("--try");
  if (tries && arguments.has("--wait")) {
    return Status(Code::kInvalidArgument, "--try and --wait exclude each other");
  }
  const Result<Duration> lease = duration_of(arguments, "--lease", Duration::seconds(10));
  const Result<Duration> wait = duration_of(arguments, "--wait", tries ? Duration() : kWaitMost);
  const Result<Duration> grace = duration_of(arguments, "--grace", Duration::seconds(5));
  Result<json::object> body = acquire_body(session);
  RETURN_IF_ERROR(lease);
  RETURN_IF_ERROR(wait);
  RETURN_IF_ERROR(grace);
  RETURN_IF_ERROR(body);
  Plan plan{arguments.value("--owner").value_or(new_owner()), *lease, *wait, *grace,
            std::move(*body)};
  put_bytes(plan.body, "owner", plan.owner);
  plan.body["lease"] = 0;  // it is open
  return plan;
}

// Waits. A try whose answer is lost is repeated under its key, so that it counts once and its wait
// goes on; a wait that a node gave up with the connection is begun anew, with what is left.
Result<Answer> acquire(Session& session, Plan& plan, const Keeper& keeper) {
  const Clock::time_point end = Clock::now() + nanos(plan.wait);
  for (;;) {
    const auto left =
        std::max(std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()),
                 std::chrono::milliseconds(0));
    client::Options options = session.client_options();
    options.try_timeout = Duration::millis(left.count()) + options.timeout;
    options.timeout = options.try_timeout;
    client::HttpClient http(options);
    plan.body["wait"] = std::to_string(left.count()) + "ms";
    const Result<Answer> answer =
        http.call({.method = "POST",
                   .target = lock_target(session, session.arguments().words[0], "acquire"),
                   .body = json::serialize(plan.body),
                   .headers = {{"Idempotency-Key", client::new_idempotency_key()}},
                   .idempotent = true,
                   .waits = true});
    const bool was_given_up =
        answer.status().code() == Code::kPreconditionFailed && http.tries() > 1;
    if (!was_given_up || Clock::now() >= end || keeper.lost()) {
      return answer;
    }
    std::this_thread::sleep_for(kPauseBetweenWaits);
  }
}

}  // namespace

Exit lock_run(Session& session) {
  const Arguments& arguments = session.arguments();
  Result<Plan> plan = plan_of(session);
  if (!plan.ok()) {
    return session.usage_error(plan.status().message());
  }
  const std::string target = owner_target(session, plan->owner);
  const Clock::time_point since = Clock::now();
  const Result<Answer> opened =
      session.write({.method = "PUT",
                     .target = target,
                     .body = R"({"lease":")" + std::to_string(plan->lease.millis()) + R"(ms"})"});
  if (!opened.ok()) {
    return session.fail(opened.status());
  }
  Exit exit = Exit::kDone;
  {
    const Keeper keeper(session.client_options(), owner_target(session, plan->owner, "renew"),
                        plan->lease, since);
    const Result<Answer> answer = acquire(session, *plan, keeper);
    if (!answer.ok()) {
      exit = fail_to_take(session, answer.status());
    } else {
      const json::value body = parse_json(answer->body);
      const uint64_t token = body.is_object() ? get_number(body.get_object(), "token") : 0;
      setenv("QUORATE_LOCK_TOKEN", std::to_string(token).c_str(), 1);
      setenv("QUORATE_LOCK_NAME", arguments.words[0].c_str(), 1);
      setenv("QUORATE_LOCK_OWNER", plan->owner.c_str(), 1);
      Child child;
      if (!child.start({arguments.words.begin() + 1, arguments.words.end()})) {
        exit = session.fail(Status(Code::kUnavailable, std::strerror(errno)));
      } else if (attend(child, keeper, plan->grace)) {
        session.io().error("quorate: the lock was lost; the command was told to end\n");
        exit = static_cast<Exit>(kLost);
      } else {
        exit = static_cast<Exit>(child.code());
      }
    }
  }
  // If nobody can be reached the lease ends it.
  (void)session.write({.method = "DELETE", .target = target});
  return exit;
}

}  // namespace quorate::cli
