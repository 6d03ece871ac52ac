// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Access masks in words.

#include <cstdint>
#include <string>
#include <string_view>

namespace engram::kernel::windows {

/// The rights of a mask, the lowest bit first, as winnt.h names them: `PROCESS_VM_READ |
/// SYNCHRONIZE`. `type` is that of the object, "Process" say; rights that are not known of it, and
/// bits that are no right, stand behind the others as one number. Empty for 0.
[[nodiscard]] std::string access_names(std::string_view type, std::uint32_t mask);

}  // namespace engram::kernel::windows
