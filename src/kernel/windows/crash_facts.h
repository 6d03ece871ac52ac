// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a crash dump of a Windows machine says of it, for images that become one.

#include "image/crash_header.h"
#include "kernel/windows/windows_kernel.h"

namespace engram::kernel::windows {

/// The crash header of the image, and what it lacks as the kernel's memory has it. Registers are
/// those of the first CPU: as the image's notes have them, else as Windows last saved them.
[[nodiscard]] image::CrashHeader complete_crash_header(WindowsKernel& kernel);

/// The memory in which the debugger's block is decoded. The same memory if it was not encoded.
/// Errors: there is no block, or a page of it is not there.
[[nodiscard]] Result<guest::Memory> with_decoded_debugger_data(const WindowsKernel& kernel);

}  // namespace engram::kernel::windows
