// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Circular lists (LIST_ENTRY) of machines of both widths.

#include <string_view>
#include <vector>

#include "kernel/linux/reader.h"

namespace engram::kernel::windows {

/// As kernel::walk_list(), with links of 4 bytes.
[[nodiscard]] std::vector<VirtAddr> walk_list32(const Reader& reader, VirtAddr head,
                                                std::uint64_t node_offset, std::string_view what,
                                                std::size_t limit);

/// The same with links of the width of the reader's machine.
[[nodiscard]] std::vector<VirtAddr> walk_links(const Reader& reader, VirtAddr head,
                                               std::uint64_t node_offset, std::string_view what,
                                               std::size_t limit);

/// A pointer of that width at a bare address. Nothing if it cannot be read, which is reported.
[[nodiscard]] std::optional<VirtAddr> pointer_at(const Reader& reader, VirtAddr address,
                                                 std::string_view what);

}  // namespace engram::kernel::windows
