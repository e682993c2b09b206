// SPDX-License-Identifier: Apache-2.0
#include "service/meta/answers.h"

#include "service/registry.h"

namespace quorate::service::meta {

std::string encode_query(const Query& query) {
  std::string out;
  encode(query, out);
  return out;
}

Result<Query> decode_query(std::string_view bytes) {
  Query query;
  if (!decode(bytes, query)) {
    return Status(Code::kInvalidArgument, "not a query of the meta group");
  }
  return query;
}

void encode_answer(const Answer& answer, std::string& out) {
  encode_status(answer.status(), out);
  if (answer.ok()) {
    encode(*answer, out);
  }
}

Answer decode_answer(std::string_view bytes) {
  Reader reader(bytes);
  RETURN_IF_ERROR(decode_status(reader));
  Success success;
  if (!decode(reader.rest(), success)) {
    return Status(Code::kCorrupted, "not an answer of the meta group");
  }
  return success;
}

}  // namespace quorate::service::meta
