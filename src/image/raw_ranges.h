// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Files without headers of which the user knows what memory they hold.

#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "guest/range.h"
#include "image/contents.h"

namespace engram::image {

/// Physical ranges as people have them, in ascending order: "0x1000-0x9fbff,0x100000-0x7ffdffff"
/// (numbers in hexadecimal, with or without 0x; the last byte is included), or the text of
/// /proc/iomem, of which the lines "System RAM" count. Errors: what is no range; ranges that do not
/// ascend; none.
[[nodiscard]] Result<std::vector<guest::Range>> parse_ranges(std::string_view text);

namespace raw {

/// The size of the file says which it is: as long as the ranges together, they lie one after the
/// other in it (LiME's format=raw); as long as the end of the last range or longer, each lies at
/// its own address, and what is between them is no memory. Errors: neither.
[[nodiscard]] Result<Contents> open_ranges(const FileView& file,
                                           std::span<const guest::Range> ranges);

}  // namespace raw
}  // namespace engram::image
