// SPDX-License-Identifier: Apache-2.0
#include "os/net.h"

#include <algorithm>
#include <boost/asio/ip/tcp.hpp>
#include <charconv>
#include <map>
#include <random>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/limits.h"
#include "base/prng.h"
#include "os/link.h"
#include "os/tls.h"

namespace quorate::os {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

// When both sides of a pair would dial at the same time, the one with the lower number goes first;
// otherwise one of the two connections would be made in vain.
constexpr Duration kHigherNumberWaits = Duration::millis(30);
// After the process ran out of descriptors.
constexpr Duration kAcceptRetry = Duration::millis(100);

struct Address {
  std::string host;
  uint16_t port;
};

// "host:port", "[::1]:port", ":port".
Result<Address> parse_address(const std::string& text) {
  const size_t colon = text.rfind(':');
  uint16_t port = 0;
  const char* const end = text.data() + text.size();
  const auto parsed = colon == std::string::npos
                          ? std::from_chars_result{end, std::errc::invalid_argument}
                          : std::from_chars(text.data() + colon + 1, end, port);
  if (parsed.ec != std::errc() || parsed.ptr != end) {
    return Status(Code::kInvalidArgument, "address '" + text + "' is not host:port");
  }
  std::string host = text.substr(0, colon);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  return Address{host, port};
}

uint64_t random_number() {
  std::random_device device;
  return uint64_t{device()} << 32 | device();
}

Duration jittered(Duration duration, Prng& prng) {
  return Duration::nanos(prng.between(duration.nanos() / 2, duration.nanos()));
}

}  // namespace

class Net::Core final : public LinkOwner {
 public:
  Core(Loop& loop, Options options)
      : loop_(loop),
        options_(std::move(options)),
        process_(random_number()),
        prng_(process_),
        acceptor_(loop.context()) {}
  ~Core() override;

  [[nodiscard]] Status open();
  void set_peer(NodeId id, const std::string& address);
  void remove_peer(NodeId id);
  bool send(NodeId id, std::string frame);

  [[nodiscard]] std::optional<LinkEnd> on_hello(Link& link, const Hello& hello) override;
  void on_up(Link& link) override;
  void on_frame(Link& link, std::string_view frame) override;
  void on_closed(Link& link, LinkEnd end) override;

  struct Peer {
    std::string address;         // empty: came by itself
    std::shared_ptr<Link> link;  // up
    std::shared_ptr<Link> dialing;
    Duration redial;  // the coming pause, before jitter
    env::TimerId redial_timer = env::TimerId::kNone;
  };

  Loop& loop_;
  Options options_;
  const uint64_t process_;
  Prng prng_;
  env::NetHandler* handler_ = nullptr;
  std::map<NodeId, Peer> peers_;
  Net::Counters counters_;
  tcp::acceptor acceptor_;

 private:
  [[nodiscard]] Status listen();
  [[nodiscard]] Link::Setup setup(NodeId to);
  void accept();
  void on_accept(const error_code& error, tcp::socket socket);
  void dial_later(NodeId id, Peer& peer, Duration pause);
  void redial(NodeId id, Peer& peer);
  void dial(NodeId id);
  void close_all_of(Peer& peer);
  [[nodiscard]] std::optional<LinkEnd> check(Link& link, const Hello& hello) const;
  [[nodiscard]] bool newer_wins(const Link& older, const Link& newer, const Hello& hello) const;
  [[nodiscard]] std::shared_ptr<Link> take_greeting(Link& link);
  void count(LinkEnd end);
  void tell(NodeId peer, bool up);
  void flush();
  void tick();

  std::vector<std::shared_ptr<Link>> greeting_;  // accepted, before their hello
  bool accepting_ = false;
  std::shared_ptr<asio::ssl::context> tls_;
  std::vector<std::shared_ptr<Link>> unflushed_;
  env::TimerId tick_timer_ = env::TimerId::kNone;
  env::TimerId accept_timer_ = env::TimerId::kNone;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

Net::Core::~Core() {
  loop_.cancel(tick_timer_);
  loop_.cancel(accept_timer_);
  for (auto& [id, peer] : peers_) {
    close_all_of(peer);
  }
  for (const std::shared_ptr<Link>& link : greeting_) {
    link->close();
  }
}

Status Net::Core::open() {
  if (options_.self.none()) {
    return Status(Code::kInvalidArgument, "a node needs a number above zero");
  }
  if (options_.tls.has_value()) {
    Result<std::shared_ptr<asio::ssl::context>> tls = make_tls(*options_.tls);
    RETURN_IF_ERROR(tls);
    tls_ = std::move(tls).value();
  }
  if (!options_.listen.empty()) {
    RETURN_IF_ERROR(listen());
  }
  tick_timer_ = loop_.start(loop_.clock().now() + options_.keepalive, [this] { tick(); });
  return {};
}

Status Net::Core::listen() {
  const Result<Address> address = parse_address(options_.listen);
  RETURN_IF_ERROR(address);
  error_code error;
  tcp::resolver resolver(loop_.context());
  const auto found = resolver.resolve(address->host.empty() ? "0.0.0.0" : address->host,
                                      std::to_string(address->port), tcp::resolver::passive, error);
  if (!error && !found.empty()) {
    const tcp::endpoint endpoint = found.begin()->endpoint();
    acceptor_.open(endpoint.protocol(), error);
    if (!error) {
      acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
      acceptor_.bind(endpoint, error);
    }
    if (!error) {
      acceptor_.listen(asio::socket_base::max_listen_connections, error);
    }
  }
  if (error) {
    return Status(Code::kUnavailable, "listen on " + options_.listen + ": " + error.message());
  }
  accept();
  return {};
}

void Net::Core::accept() {
  if (accepting_ || greeting_.size() >= limits::kGreetingLinksMax) {
    return;
  }
  accepting_ = true;
  acceptor_.async_accept(
      [this, alive = std::weak_ptr<bool>(alive_)](const error_code& error, tcp::socket socket) {
        if (!alive.expired()) {
          accepting_ = false;
          on_accept(error, std::move(socket));
        }
      });
}

void Net::Core::on_accept(const error_code& error, tcp::socket socket) {
  if (error == asio::error::operation_aborted) {
    return;
  }
  if (error) {
    accept_timer_ = loop_.start(loop_.clock().now() + kAcceptRetry, [this] { accept(); });
    return;
  }
  greeting_.push_back(std::make_shared<Link>(setup(NodeId()), std::move(socket), false));
  const std::shared_ptr<Link> link = greeting_.back();
  link->accept();
  accept();
}

Link::Setup Net::Core::setup(NodeId to) {
  const Hello hello{kWireVersion, options_.cluster, process_, options_.self, to};
  return Link::Setup{loop_, *this, counters_, tls_, encode(hello), options_.connect_timeout};
}

void Net::Core::set_peer(NodeId id, const std::string& address) {
  ASSERT(!id.none() && id != options_.self, "a node has no link to itself");
  if (peers_.size() >= limits::kPeersMax && !peers_.contains(id)) {
    return;
  }
  Peer& peer = peers_[id];
  if (peer.address == address) {
    return;
  }
  peer.address = address;
  peer.redial = options_.redial_min;
  if (peer.link == nullptr && peer.dialing == nullptr) {
    dial_later(id, peer, options_.self < id ? Duration() : kHigherNumberWaits);
  }
}

void Net::Core::remove_peer(NodeId id) {
  const auto found = peers_.find(id);
  if (found != peers_.end()) {
    close_all_of(found->second);
    peers_.erase(found);
  }
}

void Net::Core::close_all_of(Peer& peer) {
  loop_.cancel(std::exchange(peer.redial_timer, env::TimerId::kNone));
  for (std::shared_ptr<Link>* link : {&peer.link, &peer.dialing}) {
    if (*link != nullptr) {
      std::exchange(*link, nullptr)->close();
    }
  }
}

void Net::Core::dial_later(NodeId id, Peer& peer, Duration pause) {
  loop_.cancel(peer.redial_timer);
  peer.redial_timer = loop_.start(loop_.clock().now() + pause, [this, id] { dial(id); });
}

void Net::Core::redial(NodeId id, Peer& peer) {
  if (peer.address.empty() || peer.link != nullptr || peer.dialing != nullptr) {
    return;
  }
  const Duration pause = jittered(peer.redial, prng_);
  peer.redial = std::min(peer.redial * 2, options_.redial_max);
  dial_later(id, peer, options_.self < id ? pause : pause + kHigherNumberWaits);
}

void Net::Core::dial(NodeId id) {
  Peer& peer = peers_.at(id);
  peer.redial_timer = env::TimerId::kNone;
  if (peer.link != nullptr || peer.dialing != nullptr) {
    return;
  }
  const Result<Address> address = parse_address(peer.address);
  if (!address.ok()) {
    redial(id, peer);
    return;
  }
  ++counters_.dials;
  peer.dialing = std::make_shared<Link>(setup(id), tcp::socket(loop_.context()), true);
  const std::shared_ptr<Link> link = peer.dialing;
  link->dial(address->host, address->port, id);
}

std::optional<LinkEnd> Net::Core::check(Link& link, const Hello& hello) const {
  const bool same_cluster =
      hello.cluster == options_.cluster || hello.cluster == 0 || options_.cluster == 0;
  const bool right_node = !hello.from.none() && hello.from != options_.self &&
                          (hello.to.none() || hello.to == options_.self) &&
                          (!link.dialled() || hello.from == link.peer());
  if (hello.version != kWireVersion || !same_cluster || !right_node) {
    return LinkEnd::kRefused;
  }
  if (!link.is_certified_as(hello.from)) {
    return LinkEnd::kTls;
  }
  if (peers_.size() >= limits::kPeersMax && !peers_.contains(hello.from)) {
    return LinkEnd::kRefused;
  }
  return std::nullopt;
}

// Both ends judge by the same facts, so that they keep the same connection.
bool Net::Core::newer_wins(const Link& older, const Link& newer, const Hello& hello) const {
  const bool same_dialler = older.dialled() == newer.dialled();
  const bool lower_dialled = newer.dialled() == (options_.self < hello.from);
  return same_dialler || lower_dialled || older.process() != hello.process;
}

std::shared_ptr<Link> Net::Core::take_greeting(Link& link) {
  const auto found = std::find_if(greeting_.begin(), greeting_.end(),
                                  [&](const auto& each) { return each.get() == &link; });
  if (found == greeting_.end()) {
    return nullptr;
  }
  std::shared_ptr<Link> taken = std::move(*found);
  greeting_.erase(found);
  accept();
  return taken;
}

std::optional<LinkEnd> Net::Core::on_hello(Link& link, const Hello& hello) {
  if (const std::optional<LinkEnd> refusal = check(link, hello)) {
    return refusal;
  }
  Peer& peer = peers_[hello.from];
  std::shared_ptr<Link> older = peer.link;
  if (older != nullptr && !newer_wins(*older, link, hello)) {
    return LinkEnd::kDuplicate;
  }
  if (older != nullptr) {
    ++counters_.links_replaced;
    ++counters_.links_down;
    older->close();
  }
  if (link.dialled()) {
    peer.link = std::exchange(peer.dialing, nullptr);
  } else {
    peer.link = take_greeting(link);
  }
  ASSERT(peer.link.get() == &link);
  loop_.cancel(std::exchange(peer.redial_timer, env::TimerId::kNone));
  if (older != nullptr) {
    tell(hello.from, false);
  }
  return std::nullopt;
}

void Net::Core::on_up(Link& link) {
  ++counters_.links_up;
  tell(link.peer(), true);
}

void Net::Core::on_frame(Link& link, std::string_view frame) {
  if (handler_ != nullptr) {
    handler_->on_frame(link.peer(), frame);
  }
}

void Net::Core::on_closed(Link& link, LinkEnd end) {
  count(end);
  if (take_greeting(link) != nullptr) {
    return;
  }
  const auto found = peers_.find(link.peer());
  if (found == peers_.end()) {
    return;
  }
  const NodeId id = found->first;
  Peer& peer = found->second;
  if (peer.dialing.get() == &link) {
    peer.dialing = nullptr;
    redial(id, peer);
  } else if (peer.link.get() == &link) {
    peer.link = nullptr;
    ++counters_.links_down;
    if (peer.address.empty()) {
      peers_.erase(found);
    } else {
      redial(id, peer);
    }
    tell(id, false);
  }
}

void Net::Core::count(LinkEnd end) {
  switch (end) {
    case LinkEnd::kBroken:
    case LinkEnd::kTimeout: return;
    case LinkEnd::kRefused: ++counters_.refused_hello; return;
    case LinkEnd::kDuplicate: ++counters_.links_replaced; return;
    case LinkEnd::kTls: ++counters_.refused_tls; return;
    case LinkEnd::kSilent: ++counters_.silent; return;
    case LinkEnd::kCorrupt: ++counters_.corrupt; return;
    case LinkEnd::kOversized: ++counters_.oversized; return;
  }
}

void Net::Core::tell(NodeId peer, bool up) {
  if (handler_ != nullptr) {
    handler_->on_link(peer, up);
  }
}

bool Net::Core::send(NodeId id, std::string frame) {
  const auto found = peers_.find(id);
  if (found == peers_.end() || found->second.link == nullptr || !found->second.link->up()) {
    ++counters_.dropped_no_link;
    return false;
  }
  if (frame.empty() || frame.size() > limits::kFrameBytesMax) {
    ++counters_.dropped_size;
    return false;
  }
  const std::shared_ptr<Link>& link = found->second.link;
  if (link->queued_bytes() + frame.size() > limits::kPeerQueueBytesMax) {
    ++counters_.dropped_full;
    return false;
  }
  link->push(std::move(frame));
  // Who gathers that much in a turn has more to do in it: the receiver may begin meanwhile.
  if (link->queued_bytes() >= limits::kFrameBytesTarget) {
    link->flush();
    return true;
  }
  if (std::find(unflushed_.begin(), unflushed_.end(), link) == unflushed_.end()) {
    unflushed_.push_back(link);
    if (unflushed_.size() == 1) {
      loop_.defer(Loop::Phase::kSend, [this, alive = std::weak_ptr<bool>(alive_)] {
        if (!alive.expired()) {
          flush();
        }
      });
    }
  }
  return true;
}

void Net::Core::flush() {
  for (const std::shared_ptr<Link>& link : unflushed_) {
    link->flush();
  }
  unflushed_.clear();
}

void Net::Core::tick() {
  tick_timer_ = loop_.start(loop_.clock().now() + options_.keepalive, [this] { tick(); });
  const int64_t interval = std::max<int64_t>(options_.keepalive.nanos(), 1);
  const int silent_ticks_max =
      static_cast<int>((options_.dead_after.nanos() + interval - 1) / interval);
  std::vector<std::shared_ptr<Link>> links;
  for (auto& [id, peer] : peers_) {
    if (peer.link != nullptr) {
      links.push_back(peer.link);
      if (peer.link->proven()) {
        peer.redial = options_.redial_min;
      }
    }
  }
  const std::weak_ptr<bool> alive = alive_;
  for (const std::shared_ptr<Link>& link : links) {
    link->tick(silent_ticks_max);  // may end the link, and the handler may end all of this
    if (alive.expired()) {
      return;
    }
  }
}

Net::Net(std::unique_ptr<Core> core) : core_(std::move(core)) {}
Net::~Net() = default;

Result<std::unique_ptr<Net>> Net::open(Loop& loop, Options options) {
  auto core = std::make_unique<Core>(loop, std::move(options));
  RETURN_IF_ERROR(core->open());
  return std::unique_ptr<Net>(new Net(std::move(core)));
}

void Net::set_handler(env::NetHandler* handler) { core_->handler_ = handler; }
void Net::set_peer(NodeId peer, const std::string& address) { core_->set_peer(peer, address); }
void Net::remove_peer(NodeId peer) { core_->remove_peer(peer); }
bool Net::send(NodeId peer, std::string frame) { return core_->send(peer, std::move(frame)); }

size_t Net::queued_bytes(NodeId peer) const {
  const auto found = core_->peers_.find(peer);
  const bool linked = found != core_->peers_.end() && found->second.link != nullptr;
  return linked ? found->second.link->queued_bytes() : 0;
}

bool Net::linked(NodeId peer) const {
  const auto found = core_->peers_.find(peer);
  return found != core_->peers_.end() && found->second.link != nullptr && found->second.link->up();
}

uint16_t Net::port() const {
  error_code ignored;
  return core_->acceptor_.local_endpoint(ignored).port();
}

const Net::Counters& Net::counters() const { return core_->counters_; }
void Net::set_cluster(uint64_t cluster) { core_->options_.cluster = cluster; }

}  // namespace quorate::os
