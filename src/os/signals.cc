// SPDX-License-Identifier: Apache-2.0
#include "os/signals.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <utility>

namespace quorate::os {

struct Signals::Watch : std::enable_shared_from_this<Watch> {
  Watch(Loop& loop, Callback call) : set(loop.context()), callback(std::move(call)) {}

  void wait() {
    set.async_wait([self = shared_from_this()](boost::system::error_code error, int signal) {
      if (error || !self->active) {
        return;
      }
      self->callback(signal);
      if (self->active) {
        self->wait();
      }
    });
  }

  boost::asio::signal_set set;
  Callback callback;
  bool active = true;
};

Signals::Signals(Loop& loop, std::initializer_list<int> signals, Callback callback)
    : watch_(std::make_shared<Watch>(loop, std::move(callback))) {
  for (const int signal : signals) {
    watch_->set.add(signal);
  }
  watch_->wait();
}

Signals::~Signals() {
  watch_->active = false;
  watch_->set.cancel();
}

void ignore_broken_pipes() { std::signal(SIGPIPE, SIG_IGN); }

}  // namespace quorate::os
