// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Symbols that the kernel adds at run time: those of modules, ftrace trampolines and BPF programs.

#include "kernel/linux/reader.h"
#include "types/symbols.h"
#include "types/type_db.h"

namespace engram::kernel {

/// In the order, with the types and under the module names of /proc/kallsyms.
/// What cannot be read is left out, with a diagnostics row a module.
[[nodiscard]] types::SymbolTable read_module_symbols(const Reader& reader,
                                                     const types::TypeDb& types,
                                                     const types::SymbolTable& kernel_symbols);

}  // namespace engram::kernel
