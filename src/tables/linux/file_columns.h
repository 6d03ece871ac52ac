// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Columns of files that several tables have.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "tables/table.h"

namespace engram::tables {

/// Of st_mode: `regular`, `directory` ...; NULL for a type that there is not.
[[nodiscard]] Value file_type(std::optional<std::uint16_t> mode);

/// MAJOR:MINOR of the kernel's own dev_t (include/linux/kdev_t.h).
[[nodiscard]] Value device_number(std::optional<std::uint32_t> device);

/// The inodes that a table is about: those that the kernel has, or the one of them that the query
/// fixes in column `key`.
[[nodiscard]] Result<std::vector<VirtAddr>> inodes_of(kernel::Session& session,
                                                      std::span<const KeyValue> values,
                                                      std::size_t key);

}  // namespace engram::tables
