// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Values that the network's objects have in common: their namespaces, and addresses as text.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "kernel/linux/reader.h"

namespace engram::kernel {

class LinuxKernel;

// Address families, include/linux/socket.h.
inline constexpr std::uint16_t kFamilyInet = 2;
inline constexpr std::uint16_t kFamilyInet6 = 10;

/// The network namespaces (struct net), in the order in which they were made. The first one is
/// there even if the list cannot be found or read (a diagnostics row).
[[nodiscard]] std::vector<VirtAddr> network_namespaces(LinuxKernel& kernel);

/// '10.0.2.15' of 4 bytes, '::1' of 16 (RFC 5952); nothing of any other number.
[[nodiscard]] std::optional<std::string> ip_text(Bytes address);
/// The same of an address in memory. Nothing if it cannot be read (reported as `what`).
[[nodiscard]] std::optional<std::string> read_ip(const Reader& reader, VirtAddr at, bool is_ipv6,
                                                 std::string_view what);
/// Nothing also for 0.0.0.0 and ::, where they mean that there is none.
[[nodiscard]] std::optional<std::string> read_ip_unless_zero(const Reader& reader, VirtAddr at,
                                                             bool is_ipv6, std::string_view what);

/// '52:54:00:12:34:56'.
[[nodiscard]] std::string mac_text(Bytes address);
/// A hardware address in memory. Nothing if it is empty, longer than the 32 bytes that the kernel
/// has room for, or cannot be read; the last two are reported as `what`.
[[nodiscard]] std::optional<std::vector<std::byte>> read_mac(const Reader& reader, VirtAddr at,
                                                             std::uint64_t length,
                                                             std::string_view what);

}  // namespace engram::kernel
