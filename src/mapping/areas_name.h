// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the kernel's name of an area says about it: shared by the two ways to learn the name.

#include <string>

#include "mapping/areas.h"

namespace engram::mapping {

/// Sets the kind, the path and whether the file is deleted from a name as get_vma_name() in Linux
/// fs/proc/task_mmu.c makes it.
void set_name(Area& area, std::string name);

}  // namespace engram::mapping
