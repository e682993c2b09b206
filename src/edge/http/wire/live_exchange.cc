// SPDX-License-Identifier: Apache-2.0
#include "edge/http/wire/live_exchange.h"

#include "edge/http/wire/encoding.h"

namespace quorate::edge::http {
namespace {

namespace beast = boost::beast::http;

std::string_view view(boost::beast::string_view text) { return {text.data(), text.size()}; }

Method method_of(beast::verb verb) {
  switch (verb) {
    case beast::verb::get: return Method::kGet;
    case beast::verb::head: return Method::kHead;
    case beast::verb::put: return Method::kPut;
    case beast::verb::post: return Method::kPost;
    case beast::verb::delete_: return Method::kDelete;
    case beast::verb::options: return Method::kOptions;
    default: return Method::kOther;
  }
}

class LiveStream final : public BodyStream {
 public:
  explicit LiveStream(std::weak_ptr<Connection> connection) : connection_(std::move(connection)) {}
  ~LiveStream() override { finish(); }

  bool write(std::string_view bytes) override {
    const std::shared_ptr<Connection> connection = live();
    return connection && connection->write_stream(bytes);
  }
  void finish() override {
    if (const std::shared_ptr<Connection> connection = live()) {
      connection_.reset();
      connection->finish_stream();
    }
  }
  [[nodiscard]] bool open() const override { return live() != nullptr; }
  [[nodiscard]] size_t queued_bytes() const override {
    const std::shared_ptr<Connection> connection = live();
    return connection ? connection->output_bytes() : 0;
  }

 private:
  // The connection while it still carries this stream. After finish() it may carry another one,
  // hence the reset there.
  [[nodiscard]] std::shared_ptr<Connection> live() const {
    std::shared_ptr<Connection> connection = connection_.lock();
    return connection && connection->streaming() ? connection : nullptr;
  }

  std::weak_ptr<Connection> connection_;
};

}  // namespace

LiveExchange::LiveExchange(const std::shared_ptr<Connection>& connection,
                           Connection::Message message, std::string_view peer, Instant begun)
    : connection_(connection), message_(std::move(message)), peer_(peer), begun_(begun) {
  request_.method = method_of(message_.method());
  request_.target = view(message_.target());
  for (const auto& field : message_) {
    request_.headers.emplace_back(view(field.name_string()), view(field.value()));
  }
  request_.body = message_.body();
  request_.peer = peer_;
}

LiveExchange::~LiveExchange() {
  if (!answered_) {
    send(error_response(Status(Code::kInternal, "the request was dropped without an answer")));
  }
}

void LiveExchange::set_match(Router::Route* route, Target target, Router::Match match) {
  route_ = route;
  request_.query = std::move(target.query);
  request_.parameters = std::move(match.parameters);
}

Status LiveExchange::decode_body(size_t bytes_max) {
  const std::optional<Coding> coding =
      coding_of(request_.header("Content-Encoding").value_or("identity"));
  if (coding == Coding::kIdentity) {
    return Status::success();
  }
  if (!coding.has_value()) {
    return Status(Code::kInvalidArgument, "a body may be as it is, in gzip or in zstd");
  }
  Result<std::string> body = unpack(*coding, message_.body(), bytes_max);
  RETURN_IF_ERROR(body);
  message_.body() = std::move(*body);
  request_.body = message_.body();
  return Status::success();
}

void LiveExchange::send(Response response) {
  if (answered_) {
    return;
  }
  answered_ = true;
  if (const std::shared_ptr<Connection> connection = connection_.lock()) {
    connection->answer(*this, std::move(response));
  }
}

void LiveExchange::on_gone(UniqueFunction<void()> gone) {
  const std::shared_ptr<Connection> connection = connection_.lock();
  if (!answered_ && connection) {
    connection->watch_client(std::move(gone));
  }
}

std::shared_ptr<BodyStream> LiveExchange::stream(Response response, UniqueFunction<void()> gone) {
  const std::shared_ptr<Connection> connection = answered_ ? nullptr : connection_.lock();
  answered_ = true;
  if (!connection || !connection->begin_stream(*this, std::move(response), std::move(gone))) {
    return std::make_shared<LiveStream>(std::weak_ptr<Connection>());
  }
  return std::make_shared<LiveStream>(connection_);
}

}  // namespace quorate::edge::http
