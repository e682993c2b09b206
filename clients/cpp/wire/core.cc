// SPDX-License-Identifier: Apache-2.0
#include "clients/cpp/wire/core.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <random>

namespace quorate {
namespace {

namespace asio = boost::asio;
using wire::Parsed;
using wire::RequestRef;
using wire::Time;

constexpr auto kSweep = std::chrono::milliseconds(10);
constexpr auto kSlotsEvery = std::chrono::seconds(5);
constexpr auto kPauseMin = std::chrono::milliseconds(10);
constexpr int kPauseDoublingsMax = 5;

Time now() { return std::chrono::steady_clock::now(); }

// Two clients never draw the same: 128 bits.
std::string draw_prefix() {
  std::random_device device;
  std::string text;
  for (int i = 0; i < 4; ++i) {
    text += std::to_string(device()) + "-";
  }
  return text;
}

// A queue that is full empties soon; a quota that is full does not, and says the same.
constexpr int kBusyTriesMax = 6;

// What a later try may answer otherwise.
bool passes(const wire::Request& request, Code code) {
  return code == Code::kUnavailable || code == Code::kNotLeader || code == Code::kTimeout ||
         code == Code::kUnknownOutcome ||
         (code == Code::kResourceExhausted && request.tries < kBusyTriesMax);
}

}  // namespace

Client::Core::Core(const ClientOptions& options, std::vector<wire::Address> seeds,
                   const wire::Link::Settings& settings)
    : options_(options),
      settings_(settings),
      work_(asio::make_work_guard(loop_)),
      timer_(loop_),
      router_(std::move(seeds)),
      id_prefix_(draw_prefix()),
      thread_([this] { loop_.run(); }) {
  asio::post(loop_, [this] {
    ask_for_slots();
    sweep();
  });
}

Client::Core::~Core() {
  asio::post(loop_, [this] {
    for (const auto& link : links_) {
      if (link != nullptr) {
        link->close();
      }
    }
    timer_.cancel();
    // Who hears of the end may have begun another call.
    for (take_new(); !under_way_.empty(); take_new()) {
      end(under_way_.front(), Status(Code::kUnavailable, "the client is closed"));
    }
    work_.reset();
    loop_.stop();
  });
  thread_.join();
}

std::string Client::Core::next_id() { return id_prefix_ + std::to_string(++last_id_); }

void Client::Core::submit(RequestRef request) {
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    first = new_.empty();
    new_.push_back(std::move(request));
  }
  if (first) {
    asio::post(loop_, [this] {
      take_new();
      flush();
    });
  }
}

void Client::Core::take_new() {
  std::vector<RequestRef> taken;
  {
    const std::lock_guard lock(mutex_);
    taken.swap(new_);
  }
  for (RequestRef& request : taken) {
    request->place = under_way_.insert(under_way_.end(), request);
    send(request);
  }
}

wire::Link& Client::Core::link_for(const wire::Request& request) {
  links_.resize(router_.nodes().size());
  size_t number = router_.pick(request.slot, request.tries);
  // A node that has just failed is passed over, if there is another.
  for (size_t i = 0; i < links_.size(); ++i) {
    if (links_[number] == nullptr || links_[number]->rests_until() <= now()) {
      break;
    }
    number = (number + 1) % links_.size();
  }
  if (links_[number] == nullptr) {
    const auto& [host, port] = router_.nodes()[number];
    links_[number] = std::make_shared<wire::Link>(loop_, host, port, settings_, *this);
  }
  return *links_[number];
}

void Client::Core::send(const RequestRef& request) { link_for(*request).add(request); }

void Client::Core::flush() {
  for (size_t i = 0; i < links_.size(); ++i) {
    if (links_[i] != nullptr) {
      links_[i]->flush();
    }
  }
}

void Client::Core::on_reply(const RequestRef& request, Parsed reply) {
  if (!request->done) {
    return;  // its time was over
  }
  if (reply.ok() || !passes(*request, reply.status().code())) {
    return end(request, std::move(reply));
  }
  const bool was_not_done = reply.status().code() != Code::kUnknownOutcome;
  if (request->again == Again::kIfNotDone && !was_not_done) {
    return end(request, std::move(reply));
  }
  request->reached = request->reached && !was_not_done;
  retry(request, reply.status());
}

void Client::Core::on_lost(wire::Link&, std::vector<RequestRef> requests, const Status& why,
                           bool refused) {
  for (const RequestRef& request : requests) {
    if (!request->done) {
      continue;
    }
    if (refused && !request->reached) {
      end(request, why);
    } else if (request->reached && request->again == Again::kIfNotDone) {
      end(request, Status(Code::kUnknownOutcome, why.message()));
    } else {
      retry(request, why);
    }
  }
  slots_asked_ = Time();
}

void Client::Core::retry(const RequestRef& request, const Status& why) {
  const auto pause = kPauseMin * (1 << std::min(request->tries, kPauseDoublingsMax));
  ++request->tries;
  request->next_try = now() + pause;
  if (request->next_try >= request->deadline) {
    const bool unknown = request->writes && request->reached;
    return end(request,
               Status(unknown ? Code::kUnknownOutcome : Code::kUnavailable,
                      why.message() + ", after " + std::to_string(request->tries) + " tries"));
  }
  resting_.push_back(request);
}

void Client::Core::end(const RequestRef& request, Parsed result) {
  const RequestRef held = request;
  under_way_.erase(held->place);
  auto done = std::move(held->done);
  held->done = nullptr;
  done(std::move(result));
}

void Client::Core::sweep() {
  const Time time = now();
  for (auto next = under_way_.begin(); next != under_way_.end();) {
    const RequestRef request = *next++;
    if (request->deadline <= time) {
      const bool unknown = request->writes && request->reached;
      end(request,
          Status(unknown ? Code::kUnknownOutcome : Code::kTimeout,
                 "no answer in time, after " + std::to_string(request->tries + 1) + " tries"));
    }
  }
  std::vector<RequestRef> rested;
  rested.swap(resting_);
  for (const RequestRef& request : rested) {
    if (request->done && request->next_try <= time) {
      send(request);
    } else if (request->done) {
      resting_.push_back(request);
    }
  }
  for (size_t i = 0; i < links_.size(); ++i) {
    if (links_[i] != nullptr) {
      links_[i]->check(time);
    }
  }
  if (!asking_for_slots_ && time - slots_asked_ >= kSlotsEvery) {
    ask_for_slots();
  }
  flush();
  timer_.expires_after(kSweep);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) {
      sweep();
    }
  });
}

void Client::Core::ask_for_slots() {
  asking_for_slots_ = true;
  slots_asked_ = now();
  auto request = std::make_shared<wire::Request>();
  wire::append_command({"CLUSTER", "SLOTS"}, request->bytes);
  request->deadline = slots_asked_ + kSlotsEvery;
  request->done = [this](const Parsed& reply) {
    asking_for_slots_ = false;
    if (reply.ok()) {
      router_.learn(*reply);
    }
  };
  request->place = under_way_.insert(under_way_.end(), request);
  send(request);
}

}  // namespace quorate
