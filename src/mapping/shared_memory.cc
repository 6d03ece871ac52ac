// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/shared_memory.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstdint>

#include "mapping/kernel_constants.h"

namespace engram::mapping {

static_assert(static_cast<int>(Seals::seal) == F_SEAL_SEAL);
static_assert(static_cast<int>(Seals::shrink) == F_SEAL_SHRINK);
static_assert(static_cast<int>(Seals::grow) == F_SEAL_GROW);
static_assert(static_cast<int>(Seals::write) == F_SEAL_WRITE);
static_assert(static_cast<int>(Seals::future_write) == kernel::kSealFutureWrite);

MemoryResult<Seals> seals_of(const File& file) {
  const int seals = ::fcntl(file.fd(), F_GET_SEALS);
  if (seals >= 0) return static_cast<Seals>(seals & 0x1F);
  if (errno == EINVAL) return Seals::none;  // not a memory file
  return fail_os(errno);
}

MemoryResult<SharedMemory> SharedMemory::create(const std::string& name, std::uint64_t size,
                                                Setup setup) {
  if (size > INT64_MAX) return fail_memory(MemoryErrc::invalid_size, 0, size);
  unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  if (setup.page && *setup.page != PageSize::base()) {
    flags |= MFD_HUGETLB | (setup.page->log2() << kernel::kHugePageShift);
  }
  // Data is not a program. A kernel before 6.3 does not know the flag, a later one may insist.
  int fd = ::memfd_create(name.c_str(), flags | kernel::kMemfdNoExecSeal);
  if (fd < 0 && errno == EINVAL) fd = ::memfd_create(name.c_str(), flags);
  if (fd < 0) return fail_os(errno);
  ENGRAM_TRY(File file, File::adopt(fd));
  ENGRAM_CHECK(file.resize(size));
  SharedMemory memory(name, std::move(file));
  if (any(setup.seals)) ENGRAM_CHECK(memory.add_seals(setup.seals));
  return memory;
}

MemoryResult<void> SharedMemory::add_seals(Seals seals) const {
  if (::fcntl(file_.fd(), F_ADD_SEALS, static_cast<int>(seals)) == 0) return {};
  const int error = errno;
  if (error == EPERM) return fail_memory(MemoryErrc::sealed);
  return fail_os(error);
}

}  // namespace engram::mapping
