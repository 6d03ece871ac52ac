// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The readers of the dump formats: each one recognises its format and turns a file into Contents.

#include "base/bytes.h"
#include "base/result.h"
#include "image/contents.h"
#include "image/file_view.h"

/// sniff(): whether a file that begins with `head` (its first kHeadSize bytes, or all if it is
/// shorter) is of the format, however damaged the rest of it may be. open(): what is in a file for
/// which sniff() said yes. Errors: nothing in it is usable, and why.
#define ENGRAM_FORMAT(name)                           \
  namespace engram::image::name {                     \
  [[nodiscard]] bool sniff(Bytes head);               \
  [[nodiscard]] Result<Contents> open(FileView file); \
  }
#include "image/formats.def"
#undef ENGRAM_FORMAT

namespace engram::image {

inline constexpr std::uint64_t kHeadSize = 4096;

}  // namespace engram::image
