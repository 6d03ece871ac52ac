// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "sql/session_lookups.h"

#include "kernel/linux/linux_kernel.h"

namespace engram::sql {
namespace {

/// ready() comes first, so that there is a kernel when the others are called.
kernel::LinuxKernel& kernel_of(kernel::Session& session) {
  return **session.linux_kernel();
}

paging::AddressSpace space_of(kernel::Session& session, std::optional<PhysAddr> root) {
  auto& kernel = kernel_of(session);
  return root ? kernel.space_at(*root) : kernel.space();
}

}  // namespace

GuestLookups session_lookups(kernel::Session& session) {
  GuestLookups lookups;
  lookups.ready = [&session]() -> Result<void> {
    ENGRAM_CHECK(session.linux_kernel());
    return {};
  };
  lookups.symbol = [&session](VirtAddr address) { return kernel_of(session).symbolize(address); };
  lookups.address_of = [&session](std::string_view name) {
    return kernel_of(session).address_of(name);
  };
  lookups.read = [&session](VirtAddr from, std::size_t size,
                            std::optional<PhysAddr> root) -> Result<std::vector<std::byte>> {
    std::vector<std::byte> bytes(size);
    if (const auto done = space_of(session, root).read_exact(from, bytes); !done) {
      return fail("{}", paging::to_string(done.error()));
    }
    return bytes;
  };
  lookups.translate = [&session](VirtAddr address,
                                 std::optional<PhysAddr> root) -> Result<PhysAddr> {
    const auto translation = space_of(session, root).translate(address);
    if (!translation) return fail("{}", paging::to_string(translation.error()));
    return translation->physical;
  };
  return lookups;
}

}  // namespace engram::sql
