// SPDX-License-Identifier: Apache-2.0
// The door to a cluster in other processes, over HTTP.
#include <unistd.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <thread>

#include "base/text.h"
#include "clients/cpp/http_client.h"
#include "clients/cpp/locks/state.h"

namespace quorate {

namespace json = boost::json;

namespace {

using Clock = std::chrono::steady_clock;
using Mode = locks::Item::Mode;
using client::Answer;

// After a wait that a node gave up with its connection, before another node is asked.
constexpr std::chrono::milliseconds kPause(50);

std::string new_owner() {
  char host[129] = {};
  (void)gethostname(host, sizeof host - 1);
  return std::string(host) + ":" + std::to_string(getpid()) + ":" +
         client::new_idempotency_key().substr(0, 8);
}

client::Options options_of(const LockCluster& cluster) {
  client::Options options;
  options.nodes = cluster.nodes;
  options.timeout = cluster.timeout;
  options.try_timeout = std::min(options.try_timeout, cluster.timeout);
  options.tls = cluster.tls;
  options.tls_authority = cluster.tls_authority;
  options.tls_certificate = cluster.tls_certificate;
  options.tls_key = cluster.tls_key;
  options.token = cluster.token;
  options.user = cluster.user;
  options.password = cluster.password;
  return options;
}

void put_bytes(json::object& object, const std::string& name, std::string_view bytes) {
  if (is_utf8(bytes)) {
    object[name] = std::string(bytes);
  } else {
    object[name + "_base64"] = base64_encode(bytes);
  }
}

std::string get_bytes(const json::object& object, const std::string& name) {
  if (const json::value* const text = object.if_contains(name); text && text->is_string()) {
    return std::string(text->get_string());
  }
  const json::value* const coded = object.if_contains(name + "_base64");
  return coded && coded->is_string()
             ? base64_decode(std::string_view(coded->get_string())).value_or("")
             : std::string();
}

std::string millis_of(Duration duration) { return std::to_string(duration.millis()) + "ms"; }

Duration left_until(Clock::time_point end) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
  return Duration::millis(std::max<int64_t>(left.count(), 0));
}

// The token of the answer's body.
Result<uint64_t> token_of(const Result<Answer>& answer) {
  RETURN_IF_ERROR(answer);
  boost::system::error_code error;
  const json::value body = json::parse(answer->body, error);
  const json::value* const token = error ? nullptr : body.find_pointer("/token", error);
  if (token == nullptr || !token->is_number()) {
    return Status(Code::kCorrupted, "the answer holds no token");
  }
  return token->to_number<uint64_t>();
}

class RemoteDoor final : public locks::Door {
 public:
  RemoteDoor(const LockCluster& cluster, const LockSessionOptions& session)
      : options_(options_of(cluster)),
        owner_(session.owner),
        query_(session.domain == 0 ? "" : "?domain=" + std::to_string(session.domain)),
        client_(options_),
        heart_(patience_of(options_, session.lease)) {}

  Status open(Duration lease) override {
    return client_.call(change("PUT", owner_path(""), {{"lease", millis_of(lease)}})).status();
  }
  Status renew() override { return heart_.call(change("POST", owner_path("/renew"), {})).status(); }
  void close() override { (void)client_.call(change("DELETE", owner_path(""), {})); }

  Result<uint64_t> acquire(const std::vector<locks::Item>& items, Duration wait) override {
    json::object body = who();
    body["lease"] = 0;  // the owner is open
    if (items.size() == 1) {
      describe(items.front(), body);
      return take(lock_path(items.front().name, "/acquire"), std::move(body), wait);
    }
    json::array list;
    for (const locks::Item& item : items) {
      json::object each;
      put_bytes(each, "name", item.name);
      describe(item, each);
      list.push_back(std::move(each));
    }
    body["locks"] = std::move(list);
    return take("/v1/locks:acquire" + query_, std::move(body), wait);
  }
  Result<uint64_t> upgrade(const std::string& name, Duration wait) override {
    return take(lock_path(name, "/upgrade"), who(), wait);
  }
  Result<uint64_t> downgrade(const std::string& name) override {
    return token_of(client_.call(change("POST", lock_path(name, "/downgrade"), who())));
  }
  void release(const std::string& name, uint64_t count) override {
    json::object body = who();
    body["count"] = count;
    (void)client_.call(change("POST", lock_path(name, "/release"), std::move(body)));
  }
  Result<std::pair<std::string, uint64_t>> holder(const std::string& name) override {
    const Result<Answer> answer =
        client_.call({.method = "GET", .target = lock_path(name, ""), .idempotent = true});
    RETURN_IF_ERROR(answer);
    boost::system::error_code error;
    const json::value body = json::parse(answer->body, error);
    const json::value* const first = error ? nullptr : body.find_pointer("/holders/0", error);
    if (first == nullptr || !first->is_object()) {
      return Status(Code::kNotFound, "nobody holds it");
    }
    const json::value* const token = first->get_object().if_contains("token");
    return std::pair(get_bytes(first->get_object(), "owner"),
                     token && token->is_number() ? token->to_number<uint64_t>() : 0);
  }

 private:
  // A try that hangs must not cost the lease.
  static client::Options patience_of(client::Options options, Duration lease) {
    options.timeout = Duration::nanos(lease.nanos() / 3);
    options.try_timeout = Duration::nanos(lease.nanos() / 6);
    return options;
  }
  static void describe(const locks::Item& item, json::object& body) {
    switch (item.mode) {
      case Mode::kExclusive: body["mode"] = "exclusive"; break;
      case Mode::kShared: body["mode"] = "shared"; break;
      case Mode::kPermits:
        body["mode"] = "permits";
        body["permits"] = item.permits;
        body["limit"] = item.limit;
        break;
    }
  }
  static client::Call change(std::string method, std::string target, const json::object& body) {
    return {.method = std::move(method),
            .target = std::move(target),
            .body = json::serialize(body),
            .headers = {{"Idempotency-Key", client::new_idempotency_key()}},
            .idempotent = true};
  }
  [[nodiscard]] json::object who() const {
    json::object body;
    put_bytes(body, "owner", owner_);
    return body;
  }
  [[nodiscard]] std::string owner_path(std::string_view verb) const {
    return "/v1/lock-owners/" + percent_encode(owner_) + std::string(verb) + query_;
  }
  [[nodiscard]] std::string lock_path(std::string_view name, std::string_view verb) const {
    return "/v1/locks/" + percent_encode(name) + std::string(verb) + query_;
  }

  // A try whose answer is lost is repeated under its key, so that it counts once and its wait goes
  // on; a wait that a node gave up with the connection is begun anew, with what is left.
  Result<uint64_t> take(const std::string& target, json::object body, Duration wait) {
    const Clock::time_point end = Clock::now() + std::chrono::nanoseconds(wait.nanos());
    for (;;) {
      const Duration left = left_until(end);
      body["wait"] = millis_of(left);
      client::Call call = change("POST", target, body);
      call.waits = true;
      bool is_repeated = false;
      const Result<Answer> answer =
          wait == Duration() ? client_.call(call) : ask(call, left, is_repeated);
      const bool was_given_up = answer.status().code() == Code::kPreconditionFailed &&
                                is_repeated && left_until(end) > Duration();
      if (!was_given_up) {
        return token_of(answer);
      }
      std::this_thread::sleep_for(kPause);
    }
  }
  // By a client whose calls may take so long.
  Result<Answer> ask(const client::Call& call, Duration wait, bool& is_repeated) const {
    client::Options options = options_;
    options.timeout = options.try_timeout = wait + options_.timeout;
    client::HttpClient http(options);
    Result<Answer> answer = http.call(call);
    is_repeated = http.tries() > 1;
    return answer;
  }

  const client::Options options_;
  const std::string owner_;
  const std::string query_;
  client::HttpClient client_;
  client::HttpClient heart_;  // the keeper's
};

}  // namespace

Result<std::unique_ptr<LockSession>> LockSession::connect(const LockCluster& cluster,
                                                          LockSessionOptions options) {
  if (cluster.nodes.empty()) {
    return Status(Code::kInvalidArgument, "a session needs a node to begin with");
  }
  if (options.owner.empty()) {
    options.owner = new_owner();
  }
  auto door = std::make_unique<RemoteDoor>(cluster, options);
  return State::open(std::make_unique<State>(std::move(door), std::move(options)));
}

}  // namespace quorate
