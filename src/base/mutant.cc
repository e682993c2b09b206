// SPDX-License-Identifier: Apache-2.0
#include "base/mutant.h"

#include <string>

namespace quorate {
namespace {

std::string& active() {
  static std::string name;
  return name;
}

}  // namespace

void set_mutant(std::string_view name) { active() = std::string(name); }

bool mutant_active(std::string_view name) { return active() == name; }

}  // namespace quorate
