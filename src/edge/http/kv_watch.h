// SPDX-License-Identifier: Apache-2.0
// WatchPump: the watches of all HTTP clients of this node, and the timer that drives them.
//
// A watch is a stream of events, one JSON object each: lines (application/x-ndjson), or server-sent
// events with the cursor as their id for who accepts text/event-stream. The first says "ready"; a
// "progress" now and then moves the cursor on where nothing matched, and shows that the stream is
// alive. A cursor names a revision in each group covered: "1:204,2:77". Internal to the folder.
#pragma once

#include <memory>
#include <vector>

#include "edge/http/wire/message.h"
#include "env/clock.h"
#include "env/timer.h"
#include "service/kv/watches.h"

namespace quorate::edge::http {

class WatchStream;

class WatchPump : public std::enable_shared_from_this<WatchPump> {
 public:
  WatchPump(service::kv::Api& api, const env::Clock& clock, env::Timer& timer)
      : api_(api), watches_(api), clock_(clock), timer_(timer) {}

  // Answers now or later, also what is wrong with the request.
  [[nodiscard]] Status watch(service::kv::KeyspaceId keyspace, const Request& request,
                             const Responder& responder);

 private:
  void pump();

  service::kv::Api& api_;
  service::kv::Watches watches_;
  const env::Clock& clock_;
  env::Timer& timer_;
  std::vector<std::weak_ptr<WatchStream>> streams_;  // for their progress
  Instant beat_at_;
  bool pumping_ = false;
};

}  // namespace quorate::edge::http
