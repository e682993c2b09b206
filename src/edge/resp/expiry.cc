// SPDX-License-Identifier: Apache-2.0
#include "edge/resp/expiry.h"

#include "base/limits.h"
#include "edge/resp/session/command.h"

namespace quorate::edge::resp {

using service::kv::Lifetime;

bool parse_time_word(std::string_view word, TimeForm& form) {
  struct Known {
    std::string_view word;
    TimeForm form;
  };
  static constexpr Known kKnown[] = {
      {"ex", {TimeUnit::kSeconds, TimeBase::kFromNow}},
      {"px", {TimeUnit::kMillis, TimeBase::kFromNow}},
      {"exat", {TimeUnit::kSeconds, TimeBase::kSinceEpoch}},
      {"pxat", {TimeUnit::kMillis, TimeBase::kSinceEpoch}},
  };
  for (const Known& known : kKnown) {
    if (is_word(word, known.word)) {
      form = known.form;
      return true;
    }
  }
  return false;
}

bool lifetime_of(int64_t number, TimeForm form, Lifetime& lifetime) {
  int64_t micros = 0;
  const int64_t factor = form.unit == TimeUnit::kSeconds ? 1'000'000 : 1'000;
  if (__builtin_mul_overflow(number, factor, &micros)) {
    return false;
  }
  if (micros <= 0) {
    lifetime = Lifetime::until(Stamp::from_micros(0));
    return true;
  }
  if (form.base == TimeBase::kFromNow) {
    lifetime = Lifetime::lasting(Duration::micros(micros));
    return micros <= limits::kTtlMillisMax * 1'000;
  }
  lifetime = Lifetime::until(Stamp::from_micros(micros));
  return micros < Stamp::never().micros();
}

std::string invalid_expire_time(std::string_view command) {
  return "ERR invalid expire time in '" + std::string(command) + "' command";
}

}  // namespace quorate::edge::resp
