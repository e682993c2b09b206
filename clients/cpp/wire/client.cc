// SPDX-License-Identifier: Apache-2.0
// The calls of a client as commands, and its options as those of the core.
#include "quorate/client.h"

#include "base/hash.h"
#include "clients/cpp/wire/core.h"

namespace quorate {
namespace {

namespace ssl = boost::asio::ssl;
using wire::Parsed;
using Words = std::vector<std::string_view>;

Result<std::shared_ptr<ssl::context>> make_tls(const ClientOptions& options) {
  auto context = std::make_shared<ssl::context>(ssl::context::tls_client);
  boost::system::error_code error;
  context->set_verify_mode(ssl::verify_peer, error);
  if (options.tls_authority.empty()) {
    context->set_default_verify_paths(error);
  } else {
    context->load_verify_file(options.tls_authority, error);
  }
  if (!error && !options.tls_certificate.empty()) {
    context->use_certificate_chain_file(options.tls_certificate, error);
  }
  if (!error && !options.tls_key.empty()) {
    context->use_private_key_file(options.tls_key, ssl::context::pem, error);
  }
  if (error) {
    return Status(Code::kInvalidArgument, "TLS: " + error.message());
  }
  return context;
}

std::string greeting_of(const ClientOptions& options) {
  std::string greeting;
  if (!options.token.empty()) {
    wire::append_command({"AUTH", options.token}, greeting);
  } else if (!options.user.empty()) {
    wire::append_command({"AUTH", options.user, options.password}, greeting);
  }
  return greeting;
}

// ---- replies as what the calls promise --------------------------------------------------------

Status not_expected(const Reply& reply) {
  return Status(Code::kInternal, "the node answered something else than was asked for" +
                                     (reply.text.empty() ? "" : ": " + reply.text.substr(0, 100)));
}

Result<std::optional<std::string>> as_value(Reply reply) {
  if (reply.kind == Reply::Kind::kText) {
    return std::optional<std::string>(std::move(reply.text));
  }
  if (reply.kind == Reply::Kind::kNull) {
    return std::optional<std::string>();
  }
  return not_expected(reply);
}

Result<bool> as_done(Reply reply) {
  if (reply.kind != Reply::Kind::kText && reply.kind != Reply::Kind::kNull) {
    return not_expected(reply);
  }
  return reply.kind == Reply::Kind::kText;
}

Result<bool> as_any(Reply reply) {
  if (reply.kind != Reply::Kind::kInteger) {
    return not_expected(reply);
  }
  return reply.integer != 0;
}

Result<int64_t> as_number(Reply reply) {
  if (reply.kind != Reply::Kind::kInteger) {
    return not_expected(reply);
  }
  return reply.integer;
}

Result<Reply> as_reply(Reply reply) { return reply; }

// ---- calls ------------------------------------------------------------------------------------

// What is to be sent, and a place for the answer, which `read` makes of the reply.
template <class T>
struct Call {
  wire::RequestRef request = std::make_shared<wire::Request>();
  std::shared_ptr<typename Pending<T>::Slot> slot = std::make_shared<typename Pending<T>::Slot>();

  Call(Result<T> (*read)(Reply), Duration timeout) {
    request->deadline =
        std::chrono::steady_clock::now() + std::chrono::nanoseconds(timeout.nanos());
    request->done = [slot = slot, read](Parsed reply) {
      slot->fill(reply.ok() ? read(std::move(*reply)) : Result<T>(reply.status()));
    };
  }
  Pending<T> pending() const { return Pending<T>(slot); }
};

template <class T, class Core>
Pending<T> read_of(Core& core, const Words& words, std::string_view key, Result<T> (*read)(Reply)) {
  const Call<T> call(read, core.timeout());
  call.request->slot = slot_of(key);
  wire::append_command(words, call.request->bytes);
  core.submit(call.request);
  return call.pending();
}

// What a write is about, beside its words.
struct Target {
  std::string_view key;
  const Fence* fence;
};

template <class T, class Core>
Pending<T> write_of(Core& core, const Words& words, const Target& target,
                    Result<T> (*read)(Reply)) {
  const Call<T> call(read, core.timeout());
  call.request->slot = slot_of(target.key);
  call.request->writes = true;
  const std::string id = core.next_id();
  std::string token;
  std::string domain;
  Words all;
  if (target.fence != nullptr) {
    token = std::to_string(target.fence->token);
    domain = std::to_string(target.fence->domain);
    all = {"FENCE", target.fence->lock, token, "DOMAIN", domain};
  }
  all.insert(all.end(), {"ONCE", id});
  all.insert(all.end(), words.begin(), words.end());
  wire::append_command(all, call.request->bytes);
  core.submit(call.request);
  return call.pending();
}

Pending<Reply> refused(const char* why) {
  const Call<Reply> call(as_reply, Duration());
  call.request->done(Status(Code::kInvalidArgument, why));
  return call.pending();
}

}  // namespace

Client::Client(std::unique_ptr<Core> core) : core_(std::move(core)) {}
Client::~Client() = default;

Result<std::unique_ptr<Client>> Client::connect(const ClientOptions& options) {
  std::vector<wire::Address> seeds;
  for (const std::string& node : options.nodes) {
    const std::optional<wire::Address> address = wire::parse_address(node);
    if (!address.has_value()) {
      return Status(Code::kInvalidArgument, "'" + node + "' is not host:port");
    }
    seeds.push_back(*address);
  }
  if (seeds.empty()) {
    return Status(Code::kInvalidArgument, "a client needs a node to begin with");
  }
  wire::Link::Settings settings;
  settings.silence_max = std::chrono::nanoseconds(options.silence_max.nanos());
  settings.greeting = greeting_of(options);
  if (options.tls) {
    Result<std::shared_ptr<ssl::context>> tls = make_tls(options);
    RETURN_IF_ERROR(tls);
    settings.tls = std::move(*tls);
  }
  auto core = std::make_unique<Core>(options, std::move(seeds), settings);
  return std::unique_ptr<Client>(new Client(std::move(core)));
}

Pending<std::optional<std::string>> Client::get(std::string_view key) {
  return read_of(*core_, {"GET", key}, key, as_value);
}

Pending<bool> Client::set(std::string_view key, std::string_view value, const SetOptions& options) {
  Words words = {"SET", key, value};
  const std::string ttl = std::to_string(options.ttl.millis());
  if (options.ttl != Duration()) {
    words.insert(words.end(), {"PX", ttl});
  }
  if (options.keep_ttl) {
    words.emplace_back("KEEPTTL");
  }
  if (options.if_absent) {
    words.emplace_back("NX");
  }
  if (options.if_present) {
    words.emplace_back("XX");
  }
  return write_of(*core_, words, {key, options.fence}, as_done);
}

Pending<bool> Client::remove(std::string_view key, const Fence* fence) {
  return write_of(*core_, {"DEL", key}, {key, fence}, as_any);
}

Pending<bool> Client::touch(std::string_view key, Duration ttl) {
  return write_of(*core_, {"PEXPIRE", key, std::to_string(ttl.millis())}, {key, nullptr}, as_any);
}

Pending<int64_t> Client::increment(std::string_view key, int64_t by, const Fence* fence) {
  return write_of(*core_, {"INCRBY", key, std::to_string(by)}, {key, fence}, as_number);
}

Pending<Reply> Client::read(const std::vector<std::string>& words, size_t key_at) {
  if (key_at >= words.size()) {
    return refused("the command has no word where its key should be");
  }
  return read_of(*core_, Words(words.begin(), words.end()), words[key_at], as_reply);
}

Pending<Reply> Client::write(const std::vector<std::string>& words, size_t key_at,
                             const Fence* fence) {
  if (key_at >= words.size()) {
    return refused("the command has no word where its key should be");
  }
  return write_of(*core_, Words(words.begin(), words.end()), {words[key_at], fence}, as_reply);
}

Pending<Reply> Client::command(const std::vector<std::string>& words) {
  if (words.empty()) {
    return refused("a command has at least one word");
  }
  const Call<Reply> call(as_reply, core_->timeout());
  call.request->again = wire::Request::Again::kIfNotDone;
  call.request->writes = true;
  wire::append_command(Words(words.begin(), words.end()), call.request->bytes);
  core_->submit(call.request);
  return call.pending();
}

}  // namespace quorate
