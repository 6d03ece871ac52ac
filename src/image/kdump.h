// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// A kdump that was split over several files (makedumpfile --split).

#include <span>

#include "image/contents.h"
#include "image/formats.h"

namespace engram::image::kdump {

/// What is in the files together, in any order. Errors: one of them is no kdump or damaged beyond
/// use; they are of different dumps; two have the same pages; several, but one is not split.
[[nodiscard]] Result<Contents> open_files(std::span<const FileView> files);

}  // namespace engram::image::kdump
