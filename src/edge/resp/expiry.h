// SPDX-License-Identifier: Apache-2.0
// Expiry: how Redis's many ways to name an end become a Lifetime.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "service/kv/commands.h"

namespace quorate::edge::resp {

enum class TimeUnit : uint8_t { kSeconds, kMillis };
enum class TimeBase : uint8_t { kFromNow, kSinceEpoch };

struct TimeForm {
  TimeUnit unit = TimeUnit::kSeconds;
  TimeBase base = TimeBase::kFromNow;
};

// "EX", "PX", "EXAT" or "PXAT", in any case.
[[nodiscard]] bool parse_time_word(std::string_view word, TimeForm& form);

// What the number means; false if it is out of range. An end that is not after now is one that has
// come: the key is then absent at once, which is how Redis deletes by EXPIRE.
[[nodiscard]] bool lifetime_of(int64_t number, TimeForm form, service::kv::Lifetime& lifetime);

[[nodiscard]] std::string invalid_expire_time(std::string_view command);

}  // namespace quorate::edge::resp
