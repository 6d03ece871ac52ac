// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "guest/bulk_copy.h"

#include <cstring>

#include "mapping/guarded.h"

namespace engram::guest::detail {

void opaque_copy(std::byte* to, const std::byte* from, std::size_t size) noexcept {
#if defined(ENGRAM_THREAD_SANITIZER)
  // A race with the guest is no bug of this program: the sanitizer must not see it.
  (void)mapping::guarded_copy({to, size}, {from, size});
#else
  std::memcpy(to, from, size);
#endif
}

std::size_t copy_in_by_policy(FaultPolicy faults, MutableBytes to, const std::byte* from) noexcept {
  switch (faults) {
    case FaultPolicy::syscall:
      return mapping::syscall_copy_in(to, {from, to.size()});
    case FaultPolicy::trusted:
      if (is_word(to.size())) break;
      opaque_copy(to.data(), from, to.size());
      return to.size();
    case FaultPolicy::guarded:
      break;
  }
  return mapping::guarded_copy(to, {from, to.size()});
}

std::size_t copy_out_by_policy(FaultPolicy faults, std::byte* to, Bytes from) noexcept {
  switch (faults) {
    case FaultPolicy::syscall:
      return mapping::syscall_copy_out({to, from.size()}, from);
    case FaultPolicy::trusted:
      if (is_word(from.size())) break;
      opaque_copy(to, from.data(), from.size());
      return from.size();
    case FaultPolicy::guarded:
      break;
  }
  return mapping::guarded_copy({to, from.size()}, from);
}

}  // namespace engram::guest::detail
