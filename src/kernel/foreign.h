// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Images of machines whose Linux kernel is not read: what their headers and notes say of how
// virtual memory is paged.

#include <optional>
#include <string>

#include "image/image.h"
#include "paging/address_space.h"

namespace engram::kernel {

/// That the image says it is of an architecture whose kernel objects are not read, with what says
/// so; nothing for others, for images that do not say, and for Windows crash dumps.
[[nodiscard]] std::optional<std::string> foreign_kernel(const image::Facts& facts);

struct StatedPaging {
  paging::Mode mode;
  std::string source;            ///< for people: what says so, and what is assumed
  std::optional<PhysAddr> root;  ///< of the kernel's end of the space
};

/// How memory is paged, from the header, the control registers and VMCOREINFO; what nothing says is
/// assumed: x86-64 with four levels, x86 with PAE, arm64 with pages of 4 KiB and addresses of 48
/// bits.
[[nodiscard]] StatedPaging stated_paging(const image::Facts& facts);

/// The space behind `root`, or behind that of the kernel. On arm64 the upper end of the space has
/// the kernel's root if that is known, and the given one if not. Errors: no root is given, and
/// nothing names the kernel's.
[[nodiscard]] Result<paging::AddressSpace> stated_space(const image::Image& image,
                                                        std::optional<PhysAddr> root);

}  // namespace engram::kernel
