// SPDX-License-Identifier: Apache-2.0
#include "edge/poller.h"

#include <sys/epoll.h>

#include <array>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <cstring>

#include "base/assert.h"

namespace quorate::edge {
namespace {

namespace asio = boost::asio;

// Taken in one call; those beyond are told in the next, which follows at once.
constexpr int kEventsMax = 128;

}  // namespace

struct Poller::Reactor {
  Reactor(asio::io_context& loop, int set) : descriptor(loop, set) {}
  asio::posix::stream_descriptor descriptor;
};

Poller::Poller(asio::io_context& loop, int descriptor)
    : loop_(loop), reactor_(std::make_unique<Reactor>(loop, descriptor)) {}

Poller::~Poller() = default;

Result<std::shared_ptr<Poller>> Poller::open(asio::io_context& loop) {
  const int descriptor = ::epoll_create1(EPOLL_CLOEXEC);
  if (descriptor < 0) {
    return Status(Code::kUnavailable, std::string("no epoll set: ") + std::strerror(errno));
  }
  std::shared_ptr<Poller> poller(new Poller(loop, descriptor));
  poller->listen();
  return poller;
}

Poller::Token Poller::add(int descriptor, Watched& watched) {
  if (free_.empty()) {
    free_.push_back(static_cast<uint32_t>(places_.size()));
    places_.emplace_back();
  }
  const uint32_t number = free_.back();
  Place& place = places_[number];
  const Token token = Token{place.uses} << 32 | number;
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.u64 = token;
  if (::epoll_ctl(reactor_->descriptor.native_handle(), EPOLL_CTL_ADD, descriptor, &event) != 0) {
    return kNone;
  }
  free_.pop_back();
  place.watched = &watched;
  return token;
}

void Poller::remove(Token token, int descriptor) {
  ASSERT(find(token) != nullptr, "what is removed was added");
  (void)::epoll_ctl(reactor_->descriptor.native_handle(), EPOLL_CTL_DEL, descriptor, nullptr);
  const auto number = static_cast<uint32_t>(token);
  places_[number].watched = nullptr;
  ++places_[number].uses;
  free_.push_back(number);
}

Poller::Watched* Poller::find(Token token) const {
  const auto number = static_cast<uint32_t>(token);
  if (number >= places_.size() || places_[number].uses != static_cast<uint32_t>(token >> 32)) {
    return nullptr;
  }
  return places_[number].watched;
}

void Poller::listen() {
  reactor_->descriptor.async_wait(asio::posix::stream_descriptor::wait_read,
                                  [weak = weak_from_this()](const IoError& error) {
                                    const std::shared_ptr<Poller> self = weak.lock();
                                    if (!error && self != nullptr) {
                                      self->take();
                                    }
                                  });
}

void Poller::take() {
  std::array<epoll_event, kEventsMax> events;
  const int count =
      ::epoll_wait(reactor_->descriptor.native_handle(), events.data(), kEventsMax, 0);
  for (int at = 0; at < count; ++at) {
    // Whoever came before may have closed this one.
    if (Watched* const watched = find(events[static_cast<size_t>(at)].data.u64)) {
      watched->on_ready(events[static_cast<size_t>(at)].events);
    }
  }
  listen();
}

void Poller::again(Token token) { batch().again.push_back(token); }

void Poller::later(Stream::Done done, const IoError& error, size_t size) {
  batch().ended.push_back({std::move(done), error, size});
}

Poller::Batch& Poller::batch() {
  if (batch_ == nullptr) {
    auto owned = std::make_unique<Batch>();
    batch_ = owned.get();
    asio::post(loop_, [self = shared_from_this(), owned = std::move(owned)] { self->run(*owned); });
  }
  return *batch_;
}

void Poller::run(Batch& batch) {
  ASSERT(batch_ == &batch);
  batch_ = nullptr;  // what is asked for from here on is for the next one
  for (Ended& each : batch.ended) {
    each.done(each.error, each.size);
  }
  for (const Token token : batch.again) {
    if (Watched* const watched = find(token)) {
      watched->on_ready(0);
    }
  }
}

}  // namespace quorate::edge
