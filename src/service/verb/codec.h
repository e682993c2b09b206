// SPDX-License-Identifier: Apache-2.0
// The bytes of whole verbs and answers, for every service whose commands, queries and answers are
// variants with fields (fields.h). A service's own encode() and decode_...() are one call of these,
// made where its pairs of fields are seen.
//
//   verb   = variant
//   answer = status (registry.h), and of a success the variant
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "base/assert.h"
#include "base/codec.h"
#include "base/status.h"
#include "service/registry.h"
#include "service/verb/fields.h"

namespace quorate::service {

template <class Variant>
void encode_verb(const Variant& verb, std::string& out) {
  Writer writer(out);
  write_variant(writer, verb);
}

// As the service's validate() wants it, or kInvalidArgument.
template <class Variant>
[[nodiscard]] Result<Variant> decode_verb(std::string_view bytes) {
  Reader reader(bytes);
  Variant verb;
  read_variant(reader, verb);
  if (!reader.done()) {
    return Status(Code::kInvalidArgument, "the bytes of the command do not decode");
  }
  RETURN_IF_ERROR(validate(verb));
  return verb;
}

// Status is one of the alternatives: a refusal.
template <class Variant>
void encode_said(const Variant& answer, std::string& out) {
  if (const Status* const refusal = std::get_if<Status>(&answer)) {
    ASSERT(!refusal->ok(), "success is one of the other kinds");
    encode_status(*refusal, out);
    return;
  }
  encode_status(Status(), out);
  encode_verb(answer, out);
}

template <class Variant>
[[nodiscard]] Variant decode_said(std::string_view bytes) {
  Reader reader(bytes);
  Status status = decode_status(reader);
  if (!status.ok()) {
    return status;
  }
  Variant answer;
  read_variant(reader, answer);
  if (!reader.done()) {
    return Status(Code::kCorrupted, "the bytes of an answer do not decode");
  }
  return answer;
}

}  // namespace quorate::service
