// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// How large a compressed file is when it is unpacked, as far as its own ends say so.

#include <cstdint>
#include <optional>

#include "image/file_view.h"

namespace engram::image {

/// Of gzip: the last four bytes, the size modulo 4 GiB; wrong for files of several members.
[[nodiscard]] std::optional<std::uint64_t> gzip_size(const FileView& file);

/// Of xz: the sum of the index at the end of the last stream. Nothing if there is none.
[[nodiscard]] std::optional<std::uint64_t> xz_size(const FileView& file);

/// Of zstd: what the header of the first frame says, if it does.
[[nodiscard]] std::optional<std::uint64_t> zstd_size(const FileView& file);

}  // namespace engram::image
