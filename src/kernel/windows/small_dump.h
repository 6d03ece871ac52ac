// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a small (triage) crash dump has of kernel memory: pieces by virtual address, and the
// processor, the thread and the process that it was made in.

#include <optional>

#include "base/diagnostics.h"
#include "image/image.h"
#include "kernel/windows/debugger_data.h"
#include "kernel/windows/structures.h"
#include "types/symbol_file.h"

namespace engram::kernel::windows {

struct SmallDump {
  /// By virtual address: the pieces of the image, then the three structures as far as it is known
  /// where they were. Borrows the bytes of the image.
  guest::Memory memory;
  std::optional<DebuggerData> debugger_data;
  Result<Structures> structures;
  /// KPRCB, ETHREAD, EPROCESS; nothing if the dump does not have it, or it is not known where it
  /// was.
  std::optional<VirtAddr> processor, thread, process;
};

/// The image must have Facts::triage and Facts::crash. Structures are those of the file `symbols`,
/// if it is not null; an error in them says that the process and the thread do not agree with it.
[[nodiscard]] SmallDump read_small_dump(const image::Image& image, Diagnostics& diagnostics,
                                        std::uint32_t build, const types::SymbolFile* symbols);

}  // namespace engram::kernel::windows
