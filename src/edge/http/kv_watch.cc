// SPDX-License-Identifier: Apache-2.0
#include "edge/http/kv_watch.h"

#include <algorithm>
#include <charconv>

#include "base/limits.h"
#include "base/text.h"
#include "edge/http/arguments.h"
#include "edge/http/kv_arguments.h"
#include "edge/http/wire/json.h"

namespace quorate::edge::http {

namespace kv = service::kv;

namespace {

using Positions = std::vector<kv::Watches::Position>;

// Often enough that a change is seen within a few milliseconds; a node whose keys nobody watches
// is not woken at all.
constexpr Duration kPollInterval = Duration::millis(5);
constexpr Duration kBeatInterval = Duration::seconds(5);
// What may wait for a reader before it gets no further changes looked up.
constexpr size_t kRoomBytes = 256 * 1024;

std::string cursor_of(const Positions& positions) {
  std::string text;
  for (const kv::Watches::Position& at : positions) {
    text += text.empty() ? "" : ",";
    text += std::to_string(at.group.value()) + ":" + std::to_string(at.after.value());
  }
  return text;
}

Status no_cursor() {
  return Status(Code::kInvalidArgument,
                "'after' must be a cursor that a watch gave, or a revision where all keys of the "
                "prefix live in one group");
}

Result<Positions> parse_cursor(std::string_view text, const std::vector<GroupId>& covered) {
  Positions positions;
  const Result<uint64_t> revision = parse_number(text, "after");
  if (revision.ok()) {
    if (covered.size() > 1) {
      return no_cursor();
    }
    positions.push_back({covered.front(), Revision(*revision)});
    return positions;
  }
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string_view part = text.substr(begin, end - begin);
    const size_t colon = std::min(part.find(':'), part.size());
    const Result<uint64_t> group = parse_number(part.substr(0, colon), "after");
    const Result<uint64_t> after =
        parse_number(part.substr(std::min(colon + 1, part.size())), "after");
    if (!group.ok() || !after.ok() || *group > limits::kGroupsMax ||
        positions.size() > covered.size()) {
      return no_cursor();
    }
    positions.push_back({GroupId(static_cast<uint32_t>(*group)), Revision(*after)});
    begin = end + 1;
  }
  return positions;
}

}  // namespace

// One client that watches.
class WatchStream final : public kv::Watches::Sink {
 public:
  WatchStream(Responder responder, bool events)
      : responder_(std::move(responder)), events_(events) {}

  [[nodiscard]] bool has_room() const override {
    return stream_ != nullptr && stream_->open() && stream_->queued_bytes() < kRoomBytes;
  }
  [[nodiscard]] bool has_left() const override { return stream_ != nullptr && !stream_->open(); }

  void on_start(const Positions& positions) override {
    positions_ = positions;
    Response head;
    head.content_type = events_ ? "text/event-stream" : "application/x-ndjson";
    head.headers.emplace_back("Cache-Control", "no-store");
    head.headers.emplace_back("X-Accel-Buffering", "no");  // for a proxy in front
    stream_ = responder_.stream(std::move(head), nullptr);
    say("ready");
  }

  void on_changes(GroupId group, const kv::ChangeList& list) override {
    const auto at = std::find_if(positions_.begin(), positions_.end(),
                                 [group](const auto& it) { return it.group == group; });
    for (const kv::Change& change : list.changes) {
      at->after = change.revision;
      std::string body;
      JsonWriter json(body);
      json.begin_object().field("type", name_of(change.kind));
      write_bytes("key", change.key, json);
      if (change.kind == kv::Change::Kind::kPut) {
        write_bytes("value", change.value, json);
        json.field("version", change.version);
      }
      if (change.had_previous) {
        write_bytes("previous", change.previous, json);
      }
      json.field("revision", change.revision.value()).field("group", group.value());
      json.field("cursor", cursor_of(positions_)).end_object();
      send(name_of(change.kind), body);
    }
    at->after = list.through;
    moved_ = list.changes.empty();
  }

  void on_end(const Status& status) override {
    const bool is_compacted = status.code() == Code::kPreconditionFailed;
    const std::string_view details = is_compacted ? R"({"compacted":true})" : "";
    if (stream_ == nullptr) {
      responder_.fail(status, details);
      return;
    }
    std::string body = error_response(status, details).body;
    body.pop_back();  // its line feed
    send("error", body);
    stream_->finish();
  }

  void beat() {
    if (stream_ != nullptr && (moved_ || !events_)) {  // events have pings of their own
      moved_ = false;
      say("progress");
    }
  }

 private:
  void say(std::string_view type) {
    std::string body;
    JsonWriter json(body);
    json.begin_object().field("type", type).field("cursor", cursor_of(positions_)).end_object();
    send(type, body);
  }
  void send(std::string_view type, const std::string& body) {
    (void)stream_->write(events_ ? sse_event(type, cursor_of(positions_), body) : body + "\n");
  }

  Responder responder_;
  const bool events_;
  bool moved_ = false;  // beyond the last cursor that was sent
  Positions positions_;
  std::shared_ptr<BodyStream> stream_;
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

Result<std::string> read_prefix(const Request& request) {
  const auto text = request.query_value("prefix");
  const auto coded = request.query_value("prefix_base64");
  if (!coded) {
    return std::string(text.value_or(""));
  }
  std::optional<std::string> bytes = base64_decode(*coded);
  if (text || !bytes) {
    return Status(Code::kInvalidArgument, text ? "give 'prefix' or 'prefix_base64', not both"
                                               : "'prefix_base64' is not base64");
  }
  return std::move(*bytes);
}

}  // namespace

Status WatchPump::watch(kv::KeyspaceId keyspace, const Request& request,
                        const Responder& responder) {
  const Result<bool> events = wants_events(request);
  Result<std::string> prefix = read_prefix(request);
  RETURN_IF_ERROR(events);
  RETURN_IF_ERROR(prefix);
  kv::Changes changes;
  changes.keyspace = keyspace;
  changes.prefix = *prefix;
  RETURN_IF_ERROR(kv::validate(kv::Query(changes)));
  RETURN_IF_ERROR(kv::permit(request.caller.get(), changes));
  if (watches_.size() >= limits::kWatchesMax) {
    return Status(Code::kResourceExhausted, "too many watches at this node");
  }
  kv::Watches::Spec spec{.keyspace = keyspace, .prefix = std::move(*prefix)};
  // A browser that connects again says by itself what it saw last.
  if (const auto after = argument(request, "after", "Last-Event-ID")) {
    const std::string end = kv::prefix_end(spec.prefix);
    const Result<Positions> positions =
        parse_cursor(*after, api_.groups_of(keyspace, {spec.prefix, end}));
    RETURN_IF_ERROR(positions);
    spec.after = *positions;
  }
  if (request.method == Method::kHead) {
    responder.send({.content_type = *events ? "text/event-stream" : "application/x-ndjson"});
    return Status::success();
  }
  const auto stream = std::make_shared<WatchStream>(responder, *events);
  streams_.push_back(stream);
  watches_.start(std::move(spec), stream);
  if (!pumping_) {
    beat_at_ = clock_.now() + kBeatInterval;
    pump();
  }
  return Status::success();
}

void WatchPump::pump() {
  watches_.poll();
  pumping_ = !watches_.empty();
  if (!pumping_) {
    streams_.clear();
    return;
  }
  const Instant now = clock_.now();
  if (now >= beat_at_) {
    beat_at_ = now + kBeatInterval;
    std::erase_if(streams_, [](const auto& weak) { return weak.expired(); });
    for (const std::weak_ptr<WatchStream>& weak : streams_) {
      if (const std::shared_ptr<WatchStream> stream = weak.lock()) {
        stream->beat();
      }
    }
  }
  timer_.start(now + kPollInterval, [weak = weak_from_this()] {
    if (const std::shared_ptr<WatchPump> self = weak.lock()) {
      self->pump();
    }
  });
}

}  // namespace quorate::edge::http
