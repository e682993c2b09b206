// SPDX-License-Identifier: Apache-2.0
// The barrier in the keys of a cluster in other processes.
#include <cstdlib>

#include "quorate/client.h"
#include "quorate/locks.h"

namespace quorate {

Barrier::Barrier(Client& client, std::string name, uint32_t parties)
    : come_([&client, name] { return client.increment(name).wait(); }),
      arrived_([&client, name]() -> Result<int64_t> {
        const Result<std::optional<std::string>> count = client.get(name).wait();
        RETURN_IF_ERROR(count);
        return count->has_value() ? std::strtoll((*count)->c_str(), nullptr, 10) : 0;
      }),
      parties_(parties) {}

}  // namespace quorate
