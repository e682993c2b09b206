// SPDX-License-Identifier: Apache-2.0
#include "edge/http/lock/lock_watch.h"

#include <map>
#include <utility>

#include "base/limits.h"
#include "edge/http/arguments.h"
#include "edge/http/lock/lock_fields.h"
#include "service/lock/permit.h"

namespace quorate::edge::http {

namespace lock = service::lock;

namespace {

constexpr Duration kPollInterval = Duration::millis(10);
// Where no replica is here, another node has to be asked.
constexpr Duration kAskInterval = Duration::millis(250);
constexpr Duration kBeatInterval = Duration::seconds(5);
// What may wait for a reader before it gets nothing further looked up.
constexpr size_t kRoomBytes = 256 * 1024;

constexpr lock::ReadOptions kHere = {
    .mode = {.consistency = service::Consistency::kEventual, .bound = {}}};

}  // namespace

// One client that looks on.
class LockWatch : public std::enable_shared_from_this<LockWatch> {
 public:
  struct Scope {
    lock::DomainId domain;
    std::string name;  // of the one lock, if is_one; else a prefix
    bool is_one = false;
  };

  LockWatch(service::lock::Api& api, const env::Clock& clock, Scope scope, Responder responder,
            bool events)
      : api_(api),
        clock_(clock),
        scope_(std::move(scope)),
        responder_(std::move(responder)),
        events_(events) {}

  void start() {
    Response head;
    head.content_type = events_ ? "text/event-stream" : "application/x-ndjson";
    head.headers.emplace_back("Cache-Control", "no-store");
    head.headers.emplace_back("X-Accel-Buffering", "no");  // for a proxy in front
    stream_ = responder_.stream(std::move(head), nullptr);
    beat_at_ = clock_.now() + kBeatInterval;
    poll();
  }
  [[nodiscard]] bool has_left() const { return !stream_->open(); }

  // Looks again if anything can have changed.
  void poll() {
    const Instant now = clock_.now();
    if (!events_ && now >= beat_at_) {  // events have pings of their own
      beat_at_ = now + kBeatInterval;
      say("progress", R"({"type":"progress"})");
    }
    if (asking_ || stream_->queued_bytes() > kRoomBytes) {
      return;
    }
    const Index here = api_.applied_here(scope_.domain);
    const bool may_differ = here.none() ? now >= ask_at_ : here != looked_at_;
    if (may_differ) {
      looked_at_ = here;
      ask_at_ = now + kAskInterval;
      asking_ = true;
      seen_.clear();
      scope_.is_one ? look_at_one() : look_at_page("");
    }
  }

 private:
  void look_at_one() {
    api_.read(scope_.domain, lock::Info{scope_.domain, scope_.name}, kHere,
              [self = shared_from_this()](const lock::Answer& answer, const service::Origin&) {
                self->take_one(answer);
              });
  }
  void take_one(const lock::Answer& answer) {
    const Status* const refusal = std::get_if<Status>(&answer);
    if (refusal != nullptr && refusal->code() != Code::kNotFound) {
      retry();
      return;
    }
    if (const auto* const details = std::get_if<lock::LockDetails>(&answer)) {
      std::string mark;
      lock::encode(answer, mark);
      tell(scope_.name, std::move(mark), [&](JsonWriter& json) {
        write_bytes("name", scope_.name, json);
        write_details(*details, json, clock_.wall());
      });
    }
    finish();
  }

  void look_at_page(const std::string& after) {
    const lock::List list = {.domain = scope_.domain, .prefix = scope_.name, .after = after};
    api_.read(scope_.domain, list, kHere,
              [self = shared_from_this()](const lock::Answer& answer, const service::Origin&) {
                self->take_page(answer);
              });
  }
  void take_page(const lock::Answer& answer) {
    const auto* const page = std::get_if<lock::LockPage>(&answer);
    if (page == nullptr) {
      retry();
      return;
    }
    for (const lock::LockSummary& summary : page->locks) {
      std::string mark;
      JsonWriter json(mark);
      json.begin_object();
      write_summary(summary, json);
      tell(summary.name, std::move(mark),
           [&](JsonWriter& event) { write_summary(summary, event); });
    }
    if (page->more && !has_left()) {
      look_at_page(std::string(page->locks.back().name));
    } else {
      finish();
    }
  }

  // `mark` differs exactly if there is something to tell.
  template <class Write>
  void tell(std::string_view name, std::string mark, Write write) {
    std::string& known = seen_[std::string(name)];
    known = std::move(mark);
    const auto told = told_.find(name);
    if (told != told_.end() && told->second == known) {
      return;
    }
    std::string body;
    JsonWriter json(body);
    json.begin_object().field("type", "lock");
    write(json);
    json.end_object();
    say("lock", body);
  }

  void finish() {
    asking_ = false;
    for (const auto& [name, mark] : told_) {
      if (!seen_.contains(name)) {
        std::string body;
        JsonWriter json(body);
        json.begin_object().field("type", "free");
        write_bytes("name", name, json);
        json.end_object();
        say("free", body);
      }
    }
    told_.swap(seen_);
    if (!std::exchange(ready_, true)) {
      say("ready", R"({"type":"ready"})");
    }
  }
  // A group without a leader has no news either.
  void retry() {
    asking_ = false;
    looked_at_ = Index();
  }

  void say(std::string_view type, const std::string& body) {
    (void)stream_->write(events_ ? sse_event(type, "", body) : body + "\n");
  }

  using Marks = std::map<std::string, std::string, std::less<>>;

  service::lock::Api& api_;
  const env::Clock& clock_;
  const Scope scope_;
  Responder responder_;
  const bool events_;
  std::shared_ptr<BodyStream> stream_;
  Marks told_;  // by the name of a lock
  Marks seen_;  // in the look under way
  Index looked_at_;
  Instant ask_at_;
  Instant beat_at_;
  bool asking_ = false;
  bool ready_ = false;
};

namespace {

Result<bool> wants_events(const Request& request) {
  const auto format = request.query_value("format");
  if (format && *format != "events" && *format != "lines") {
    return Status(Code::kInvalidArgument, "'format' must be lines or events");
  }
  const std::string_view accept = request.header("Accept").value_or("");
  return format ? *format == "events" : accept.find("text/event-stream") != accept.npos;
}

}  // namespace

Status LockWatches::watch(lock::DomainId domain, const Request& request,
                          const Responder& responder) {
  const Result<bool> events = wants_events(request);
  RETURN_IF_ERROR(events);
  const auto name = request.query_value("name");
  const auto prefix = request.query_value("prefix");
  if (name && prefix) {
    return Status(Code::kInvalidArgument, "give 'name' or 'prefix', not both");
  }
  LockWatch::Scope scope = {domain, std::string(name ? *name : prefix.value_or("")),
                            name.has_value()};
  const lock::Query query = scope.is_one
                                ? lock::Query(lock::Info{domain, scope.name})
                                : lock::Query(lock::List{.domain = domain, .prefix = scope.name});
  RETURN_IF_ERROR(lock::validate(query));
  RETURN_IF_ERROR(lock::permit(request.caller.get(), query));
  if (watches_.size() >= limits::kWatchesMax) {
    return Status(Code::kResourceExhausted, "too many watches at this node");
  }
  if (request.method == Method::kHead) {
    responder.send({.content_type = *events ? "text/event-stream" : "application/x-ndjson"});
    return Status::success();
  }
  watches_.push_back(
      std::make_shared<LockWatch>(api_, clock_, std::move(scope), responder, *events));
  watches_.back()->start();
  if (!pumping_) {
    pump();
  }
  return Status::success();
}

void LockWatches::pump() {
  std::erase_if(watches_, [](const auto& watch) { return watch->has_left(); });
  for (const std::shared_ptr<LockWatch>& watch : watches_) {
    watch->poll();
  }
  pumping_ = !watches_.empty();
  if (pumping_) {
    timer_.start(clock_.now() + kPollInterval, [weak = weak_from_this()] {
      if (const std::shared_ptr<LockWatches> self = weak.lock()) {
        self->pump();
      }
    });
  }
}

}  // namespace quorate::edge::http
