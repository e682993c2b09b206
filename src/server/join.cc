// SPDX-License-Identifier: Apache-2.0
#include "server/join.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <filesystem>

#include "clients/cpp/http_client.h"
#include "server/access/root_token.h"

namespace quorate::server {
namespace {

namespace json = boost::json;

client::Options client_options(const Config& config) {
  client::Options options;
  options.nodes.clear();
  for (const Address& address : config.cluster_join) {
    options.nodes.push_back(address.text());
  }
  options.timeout = Duration::seconds(30);
  options.tls = config.tls();
  options.tls_authority = config.tls_authority;
  options.tls_certificate = config.tls_certificate;
  options.tls_key = config.tls_key;
  if (const Result<std::string> token = read_root_token(config.access_root_token_file);
      token.ok() && !token->empty()) {
    options.token = *token;
  }
  return options;
}

Status learn(const client::Answer& answer, Config& config) {
  const Status odd(Code::kInternal, answer.node + " answered what is no cluster status");
  boost::system::error_code error;
  const json::value body = json::parse(answer.body, error);
  if (error || !body.is_object()) {
    return odd;
  }
  const json::value* cluster = body.get_object().if_contains("cluster");
  const json::value* groups = body.get_object().if_contains("groups");
  if (cluster == nullptr || !cluster->is_string() || groups == nullptr || !groups->is_array() ||
      groups->get_array().size() < 2) {
    return odd;
  }
  const json::string& id = cluster->get_string();
  const auto [end, failed] = std::from_chars(id.data(), id.data() + id.size(), config.cluster_id);
  if (failed != std::errc() || end != id.data() + id.size()) {
    return odd;
  }
  config.cluster_groups = static_cast<uint32_t>(groups->get_array().size() - 1);  // less the meta
  return Status::success();
}

}  // namespace

Status join_cluster(Config& config) {
  std::error_code ignored;
  if (config.cluster_join.empty() || std::filesystem::exists(config.data + "/wal", ignored)) {
    return Status::success();
  }
  client::HttpClient client(client_options(config));
  const Result<client::Answer> status =
      client.call({.target = "/cluster/status", .idempotent = true});
  RETURN_IF_ERROR(status);
  RETURN_IF_ERROR(learn(*status, config));
  const json::object self = {{"id", config.node},
                             {"raft", config.raft_advertise.value_or(config.raft_listen).text()},
                             {"http", config.http_advertise.value_or(config.http_listen).text()}};
  // The meta group gives the same address the same number, so that a repetition is harmless.
  const Result<client::Answer> added = client.call({.method = "POST",
                                                    .target = "/cluster/nodes",
                                                    .body = json::serialize(self),
                                                    .idempotent = true});
  if (!added.ok() && added.status().code() != Code::kAlreadyExists) {
    return added.status();
  }
  return Status::success();
}

}  // namespace quorate::server
