// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "sql/session_lookups.h"

#include "kernel/foreign.h"
#include "kernel/kernel_space.h"
#include "kernel/linux/linux_kernel.h"
#include "kernel/linux/page_cache.h"

namespace engram::sql {
GuestLookups session_lookups(kernel::Session& session) {
  GuestLookups lookups;
  lookups.ready = [&session]() -> Result<void> {
    // Of such a machine the root may be given with each call.
    if (kernel::foreign_kernel(session.image().facts())) return {};
    ENGRAM_CHECK(kernel::space_of(session));
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
    ENGRAM_TRY(const auto space, kernel::space_of(session, root));
    std::vector<std::byte> bytes(count);
    const auto read = space.read_exact(from, bytes);
    if (!read) return fail("{}", to_string(read.error()));
    return bytes;
  };
  lookups.file_contents = [&session](VirtAddr inode, bool zeros,
                                     std::uint64_t limit) -> Result<std::vector<std::byte>> {
    ENGRAM_TRY(auto* kernel, session.linux_kernel());
    const auto unknown = zeros ? kernel::Unknown::zeros : kernel::Unknown::refused;
    return kernel->page_cache().contents(inode, unknown, limit);
  };
  lookups.translate = [&session](VirtAddr address,
                                 std::optional<PhysAddr> root) -> Result<PhysAddr> {
    ENGRAM_TRY(const auto space, kernel::space_of(session, root));
    const auto translation = space.translate(address);
    if (!translation) return fail("{}", to_string(translation.error()));
    return translation->physical;
  };
  return lookups;
}

}  // namespace engram::sql
