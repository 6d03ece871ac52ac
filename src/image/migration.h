// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// QEMU migration streams that lie inside another file.

#include <string>

#include "base/result.h"
#include "image/contents.h"

namespace engram::image::migration {

/// The stream that begins at `at`. `machine` is the machine's type, if something else than the
/// stream says it; `contents` has what is known already. Errors: those of read_stream(); no page of
/// RAM in it.
[[nodiscard]] Result<Contents> open_at(const FileView& file, FileOffset at,
                                       const std::string& machine, Contents contents);

}  // namespace engram::image::migration
