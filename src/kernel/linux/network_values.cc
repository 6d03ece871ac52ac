// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/network_values.h"

#include <arpa/inet.h>
#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "kernel/linux/containers.h"
#include "kernel/linux/linux_kernel.h"

namespace engram::kernel {
namespace {

constexpr std::size_t kNamespaceLimit = 1U << 16U;
constexpr std::uint64_t kMacLimit = 32;  // MAX_ADDR_LEN, include/linux/netdevice.h

std::optional<std::string> read_ip_of(const Reader& reader, VirtAddr at, bool is_ipv6,
                                      bool zero_is_none, std::string_view what) {
  std::array<std::byte, 16> buffer{};
  const auto bytes = MutableBytes(buffer).first(is_ipv6 ? 16 : 4);
  if (const auto read = reader.space().read_exact(at, bytes); !read) {
    reader.report(what, at, paging::to_string(read.error()));
    return std::nullopt;
  }
  const bool zero =
      std::all_of(bytes.begin(), bytes.end(), [](auto byte) { return byte == std::byte{}; });
  return zero && zero_is_none ? std::nullopt : ip_text(bytes);
}

}  // namespace

std::vector<VirtAddr> network_namespaces(LinuxKernel& kernel) {
  const auto& reader = kernel.reader();
  const auto node = Layout(kernel.types(), reader.diagnostics(), "net").offset_of("list");
  const auto head = kernel.symbols().address_of("net_namespace_list");
  if (!head) {
    reader.diagnostics().add(Level::warning, "network",
                             "the kernel has no symbol net_namespace_list: the first namespace "
                             "only");
  }
  std::vector<VirtAddr> found;
  if (node && head) {
    found = walk_list(reader, *head, *node, "net_namespace_list", kNamespaceLimit);
  }
  // The first one is no matter of the list, which may be damaged.
  const auto first = kernel.symbols().address_of("init_net");
  if (first && std::find(found.begin(), found.end(), *first) == found.end()) {
    found.insert(found.begin(), *first);
  }
  return found;
}

std::optional<std::string> ip_text(Bytes address) {
  if (address.size() != 4 && address.size() != 16) return std::nullopt;
  char text[INET6_ADDRSTRLEN] = {};
  const int family = address.size() == 16 ? AF_INET6 : AF_INET;
  if (::inet_ntop(family, address.data(), text, sizeof text) == nullptr) return std::nullopt;
  return text;
}

std::optional<std::string> read_ip(const Reader& reader, VirtAddr at, bool is_ipv6,
                                   std::string_view what) {
  return read_ip_of(reader, at, is_ipv6, false, what);
}

std::optional<std::string> read_ip_unless_zero(const Reader& reader, VirtAddr at, bool is_ipv6,
                                               std::string_view what) {
  return read_ip_of(reader, at, is_ipv6, true, what);
}

std::string mac_text(Bytes address) {
  std::string text;
  for (const auto byte : address) {
    text += fmt::format("{}{:02x}", text.empty() ? "" : ":", static_cast<unsigned>(byte));
  }
  return text;
}

std::optional<std::vector<std::byte>> read_mac(const Reader& reader, VirtAddr at,
                                               std::uint64_t length, std::string_view what) {
  if (length == 0) return std::nullopt;
  if (length > kMacLimit) {
    reader.report(what, at, fmt::format("{} bytes, at most {} expected", length, kMacLimit));
    return std::nullopt;
  }
  std::vector<std::byte> bytes(static_cast<std::size_t>(length));
  if (const auto read = reader.space().read_exact(at, bytes); !read) {
    reader.report(what, at, paging::to_string(read.error()));
    return std::nullopt;
  }
  return bytes;
}

}  // namespace engram::kernel
