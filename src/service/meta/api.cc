// SPDX-License-Identifier: Apache-2.0
#include "service/meta/api.h"

#include <utility>

namespace quorate::service::meta {
namespace {

service::Done decoding(Api::Done done) {
  return [done = std::move(done)](const Status& status, std::string_view answer,
                                  const Origin& origin) mutable {
    done(status.ok() ? decode_answer(answer) : Answer(status), origin);
  };
}

}  // namespace

void Api::apply(const Command& command, Done done, Duration timeout, CommandKey key) {
  const std::string body = encode_command(command);
  service::Command proposed;
  proposed.group = kMetaGroup;
  proposed.service = ServiceId::kMeta;
  proposed.body = body;
  proposed.timeout = timeout;
  proposed.key = key;
  proposer_.propose(proposed, decoding(std::move(done)));
}

void Api::query(const Query& query, ReadMode mode, Done done, Duration timeout) {
  const std::string body = encode_query(query);
  service::Query asked;
  asked.group = kMetaGroup;
  asked.service = ServiceId::kMeta;
  asked.mode = mode;
  asked.body = body;
  asked.timeout = timeout;
  proposer_.query(asked, decoding(std::move(done)));
}

}  // namespace quorate::service::meta
