// SPDX-License-Identifier: Apache-2.0
// Connection: one socket to one node, in the clear or under TLS, used in a blocking manner with a
// time-out. Internal to the folder.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "clients/cpp/http_client.h"

namespace quorate::client {

// How far a try came, for that decides whether it may be repeated.
enum class Reached : uint8_t { kNothing, kConnected, kSent, kAnswered };

struct Attempt {
  Reached reached = Reached::kNothing;
  std::string problem;    // empty if answered
  bool distrust = false;  // one side refused the other's certificate, and always will
  bool hopeless = false;  // the node has stood still for long; another is to be asked
  Answer answer;
};

class Connection {
 public:
  virtual ~Connection() = default;
  // With a `piece`, the body of a good answer goes there as it comes, and the time-out is for each
  // silence.
  [[nodiscard]] virtual Attempt attempt(const Call& call, Duration timeout,
                                        const OnPiece* piece = nullptr) = 0;
  // To be asked now and then while an answer is waited for: whether that makes sense. Of calls that
  // wait.
  void set_hope(std::function<bool()> hope) { hope_ = std::move(hope); }
  // The server may have closed it meanwhile; a try on such a connection is not counted.
  [[nodiscard]] virtual bool usable() const = 0;

 protected:
  std::function<bool()> hope_;
};

[[nodiscard]] std::unique_ptr<Connection> make_connection(const Options& options,
                                                          const std::string& node);

}  // namespace quorate::client
