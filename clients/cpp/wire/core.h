// SPDX-License-Identifier: Apache-2.0
// Core: the thread of a client, its links, and the tries of each call.
//
// Calls are handed over under a lock, which is held for a push. The thread takes all that have
// gathered, gives each to the link of its node, and lets each link write once. A call whose try
// failed goes to another node, after pauses that double; a sweep ends the calls whose time is over.
#pragma once

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "clients/cpp/wire/link.h"
#include "clients/cpp/wire/router.h"
#include "quorate/client.h"

namespace quorate {

class Client::Core final : public wire::Link::Owner {
 public:
  Core(const ClientOptions& options, std::vector<wire::Address> seeds,
       const wire::Link::Settings& settings);
  ~Core() override;
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  // On any thread.
  void submit(wire::RequestRef request);
  // An id that no call had before.
  [[nodiscard]] std::string next_id();
  [[nodiscard]] Duration timeout() const { return options_.timeout; }

 private:
  using Again = wire::Request::Again;

  void on_reply(const wire::RequestRef& request, wire::Parsed reply) override;
  void on_lost(wire::Link& link, std::vector<wire::RequestRef> requests, const Status& why,
               bool refused) override;

  void take_new();
  void send(const wire::RequestRef& request);
  void retry(const wire::RequestRef& request, const Status& why);
  void end(const wire::RequestRef& request, wire::Parsed result);
  [[nodiscard]] wire::Link& link_for(const wire::Request& request);
  void flush();
  void sweep();
  void ask_for_slots();

  const ClientOptions options_;
  const wire::Link::Settings settings_;
  boost::asio::io_context loop_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  boost::asio::steady_timer timer_;
  wire::Router router_;
  std::vector<std::shared_ptr<wire::Link>> links_;  // by the numbers of router_
  std::list<wire::RequestRef> under_way_;
  std::vector<wire::RequestRef> resting_;  // until their next try
  wire::Time slots_asked_;
  bool asking_for_slots_ = false;

  std::mutex mutex_;
  std::vector<wire::RequestRef> new_;  // under mutex_
  std::string id_prefix_;
  std::atomic<uint64_t> last_id_ = 0;
  std::thread thread_;
};

}  // namespace quorate
