// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The header of a Windows crash dump, on disk in, as facts out.

#include "image/crash_header.h"
#include "image/dmp_layout.h"

namespace engram::image::dmp {

[[nodiscard]] CrashHeader read_crash_header(const Header64& header);
[[nodiscard]] CrashHeader read_crash_header(const Header32& header);

}  // namespace engram::image::dmp
