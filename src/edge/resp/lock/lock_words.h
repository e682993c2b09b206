// SPDX-License-Identifier: Apache-2.0
// LockWords: the options behind the fixed arguments of a LOCK command, and how its answers are
// told. Internal to the folder.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "edge/resp/session/command.h"
#include "service/lock/answers.h"
#include "service/lock/commands.h"

namespace quorate::edge::resp {

struct LockWords {
  // Which of them a command takes; the rest is a syntax error.
  enum Word : uint32_t {
    kLease = 1u << 0,   // LEASE ms
    kWait = 1u << 1,    // WAIT ms
    kCount = 1u << 2,   // COUNT n
    kLimit = 1u << 3,   // LIMIT n
    kToken = 1u << 4,   // TOKEN n
    kTicket = 1u << 5,  // TICKET n
    kDomain = 1u << 6,  // DOMAIN n
    kPrefix = 1u << 7,  // PREFIX text
    kAfter = 1u << 8,   // AFTER name
  };

  bool has_lease = false;
  Duration lease = {};
  Duration wait = {};
  bool has_count = false;
  uint64_t count = 0;
  uint64_t limit = 0;
  Token token = {};
  service::lock::Ticket ticket = {};
  service::lock::DomainId domain = {};
  std::string_view prefix = {};
  std::string_view after = {};

  // The text of an error, or nothing.
  [[nodiscard]] std::string read(Arguments arguments, uint32_t known);
};

// Nothing if it is no number.
[[nodiscard]] bool read_number(std::string_view text, uint64_t& number);
[[nodiscard]] bool read_mode(std::string_view word, service::lock::Mode& mode);

void tell_details(const service::lock::LockDetails& details, Reply& reply);
void tell_page(const service::lock::LockPage& page, Reply& reply);
void tell_owner(const service::lock::OwnerDetails& details, Reply& reply);
void tell_usage(const service::lock::Usage& usage, Reply& reply);

}  // namespace quorate::edge::resp
