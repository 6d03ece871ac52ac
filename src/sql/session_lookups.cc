// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "sql/session_lookups.h"

#include "kernel/linux/linux_kernel.h"

namespace engram::sql {
namespace {

/// Calls `use` with the address space at `root`, or with the kernel's own.
template <class Use>
auto with_space(const kernel::LinuxKernel& kernel, std::optional<PhysAddr> root, Use use) {
  return root ? use(kernel.space_at(*root)) : use(kernel.space());
}

}  // namespace

GuestLookups session_lookups(kernel::Session& session) {
  GuestLookups lookups;
  lookups.ready = [&session]() -> Result<void> {
    ENGRAM_CHECK(session.linux_kernel());
    return {};
  };
  lookups.symbol = [&session](VirtAddr address) -> std::optional<std::string> {
    const auto kernel = session.linux_kernel();
    return kernel ? (*kernel)->symbolize(address) : std::nullopt;
  };
  lookups.address_of = [&session](std::string_view name) -> std::optional<VirtAddr> {
    const auto kernel = session.linux_kernel();
    return kernel ? (*kernel)->address_of(name) : std::nullopt;
  };
  lookups.read = [&session](VirtAddr from, std::size_t count,
                            std::optional<PhysAddr> root) -> Result<std::vector<std::byte>> {
    ENGRAM_TRY(const auto* kernel, session.linux_kernel());
    std::vector<std::byte> bytes(count);
    const auto read = with_space(*kernel, root, [&](const paging::AddressSpace& space) {
      return space.read_exact(from, bytes);
    });
    if (!read) return fail("{}", to_string(read.error()));
    return bytes;
  };
  lookups.translate = [&session](VirtAddr address,
                                 std::optional<PhysAddr> root) -> Result<PhysAddr> {
    ENGRAM_TRY(const auto* kernel, session.linux_kernel());
    const auto translation = with_space(
        *kernel, root, [&](const paging::AddressSpace& space) { return space.translate(address); });
    if (!translation) return fail("{}", to_string(translation.error()));
    return translation->physical;
  };
  return lookups;
}

}  // namespace engram::sql
