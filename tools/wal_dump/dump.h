// SPDX-License-Identifier: Apache-2.0
// What the files of a log and of a snapshot directory hold, and what of it is damaged, as text for
// people or as JSON for programs: one line, or one object, per batch, item and entry.
//
// It reads only, takes no decision that recovery would take, and never stops at damage.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/status.h"
#include "wal/scan.h"

namespace quorate::wal {

struct DumpOptions {
  bool json = false;
  bool payloads = false;         // the first bytes of each
  std::optional<GroupId> group;  // items of this group only
};

struct Dump {
  std::string text;
  size_t damages = 0;
};

// One segment file.
[[nodiscard]] Dump dump_segment(const SegmentBytes& segment, const DumpOptions& options);
// One snapshot file.
[[nodiscard]] Dump dump_snapshot(const std::string& name, env::File& file,
                                 const DumpOptions& options);
// A file, or all segments and snapshots of a directory in order of name.
[[nodiscard]] Result<Dump> dump_path(const std::string& path, const DumpOptions& options);

}  // namespace quorate::wal
