// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Reads what callbacks of a bug check left in a crash dump behind everything else.

#include <span>
#include <vector>

#include "image/contents.h"
#include "image/crash_header.h"

namespace engram::image::dmp {

/// The blocks behind the first of these places at which some begin; none if there are none. A block
/// that does not lie in the file ends them, with a notice.
[[nodiscard]] std::vector<SecondaryData> read_secondary_data(const FileView& file,
                                                             std::span<const FileOffset> places,
                                                             Contents& contents);

}  // namespace engram::image::dmp
