// SPDX-License-Identifier: Apache-2.0
// What tests of the meta machine share: a copy by freeze and restore.
#pragma once

#include <string>
#include <string_view>

#include "base/prng.h"
#include "service/meta/state.h"

namespace quorate::service::meta {

// Through freeze and restore, in pieces of every size.
inline Status copy_by_image(State& from, State& to, uint64_t seed) {
  Prng prng(seed);
  const auto source = from.freeze();
  std::string image;
  while (source->next(prng.below(200), image)) {
  }
  to.restore_begin();
  for (size_t at = 0; at < image.size();) {
    const size_t size = std::min<size_t>(1 + prng.below(100), image.size() - at);
    RETURN_IF_ERROR(to.restore_piece(std::string_view(image).substr(at, size)));
    at += size;
  }
  return to.restore_end();
}

}  // namespace quorate::service::meta
