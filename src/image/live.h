// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Live guests: where QEMU's x86 machines have the RAM that lies in one file.
//
// The file is contiguous, the guest's addresses are not: below 4 GiB there must be room for PCI
// devices, so that RAM which does not fit below this hole goes on at 4 GiB. Nothing in the file
// says which chipset the machine has; kernel/live.h finds out.

#include <cstdint>
#include <string_view>
#include <vector>

namespace engram::image {

struct LiveLayout {
  std::uint64_t below_4g = 0;  ///< bytes of the file that lie at address 0; the rest is at 4 GiB
  std::string_view machine;    ///< for people: what puts them there
};

/// Where RAM goes on that does not fit below the hole.
inline constexpr std::uint64_t kAboveHole = std::uint64_t{1} << 32U;

/// The layouts that QEMU's chipsets have for this much RAM, without two that are the same; the one
/// that more machines have comes first. At least one.
[[nodiscard]] std::vector<LiveLayout> live_layouts(std::uint64_t ram_size);

}  // namespace engram::image
