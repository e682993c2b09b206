// SPDX-License-Identifier: Apache-2.0
// Poller: which plain connections are ready, told once per change and for all of them in one call.
//
// Asio looks at a socket again after every read, for it does not know that the socket is empty:
// with one command per read that is a system call and an operation too many each. A plain
// connection therefore stands in an epoll set of its own, inside the loop's. The set is
// edge-triggered, and a read that did not fill its buffer has emptied the socket, so that a command
// and its answer cost one read and one write.
//
//   loop's epoll <- this set <- descriptors          take(): all that is ready, one system call
//                                                    later(): completions, as one handler
//
// Not for several threads. What is watched removes itself before it closes its descriptor.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/status.h"
#include "edge/stream.h"

namespace quorate::edge {

class Poller : public std::enable_shared_from_this<Poller> {
 public:
  class Watched {
   public:
    // `events` as of epoll; none if it was asked for by again(). It may destroy itself in the call.
    virtual void on_ready(uint32_t events) = 0;

   protected:
    ~Watched() = default;
  };
  using Token = uint64_t;

  [[nodiscard]] static Result<std::shared_ptr<Poller>> open(boost::asio::io_context& loop);
  ~Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  // Reading, writing and the end of the peer, each change once. kNone: the kernel refused.
  [[nodiscard]] Token add(int descriptor, Watched& watched);
  void remove(Token token, int descriptor);
  // Calls on_ready() soon, if it is still watched then.
  void again(Token token);
  // Calls a completion soon, never inside this call.
  void later(Stream::Done done, const IoError& error, size_t size);

  static constexpr Token kNone = UINT64_MAX;

 private:
  struct Reactor;
  struct Ended {
    Stream::Done done;
    IoError error;
    size_t size;
  };
  // Owned by the handler that runs it: what is not run when the loop goes, goes with the loop.
  struct Batch {
    std::vector<Ended> ended;
    std::vector<Token> again;
  };
  // A place is used again for another descriptor; the count tells late events from new ones.
  struct Place {
    Watched* watched = nullptr;
    uint32_t uses = 0;
  };

  Poller(boost::asio::io_context& loop, int descriptor);
  void listen();
  void take();
  [[nodiscard]] Batch& batch();
  void run(Batch& batch);
  [[nodiscard]] Watched* find(Token token) const;

  boost::asio::io_context& loop_;
  std::unique_ptr<Reactor> reactor_;
  std::vector<Place> places_;
  std::vector<uint32_t> free_;
  Batch* batch_ = nullptr;  // on its way, not yet run
};

}  // namespace quorate::edge
