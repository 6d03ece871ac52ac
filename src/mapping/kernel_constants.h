// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Constants of the Linux interface that are newer than the headers that some hosts compile with.
// Whether the running kernel knows one is learnt by trying.

#include <fcntl.h>
#include <sys/mman.h>

#include <cstdint>

namespace engram::mapping::kernel {

// include/uapi/asm-generic/mman-common.h
inline constexpr int kAdviseCold = 20;               // 5.4
inline constexpr int kAdvisePageOut = 21;            // 5.4
inline constexpr int kAdvisePopulateRead = 22;       // 5.14
inline constexpr int kAdvisePopulateWrite = 23;      // 5.14
inline constexpr int kAdviseDontNeedLocked = 24;     // 5.18
inline constexpr int kAdviseCollapse = 25;           // 6.1
inline constexpr int kMapFixedNoReplace = 0x100000;  // 4.17; alpha has its own
inline constexpr unsigned kLockOnFault = 1;          // mlock2(2), 4.4
// include/uapi/asm-generic/hugetlb_encode.h
inline constexpr int kHugePageShift = 26;
// include/uapi/linux/memfd.h
inline constexpr unsigned kMemfdNoExecSeal = 8;  // 6.3
// include/uapi/linux/fcntl.h
inline constexpr int kSealFutureWrite = 0x10;  // 5.1
// include/uapi/linux/magic.h
inline constexpr std::uint64_t kHugetlbfsMagic = 0x958458f6;

}  // namespace engram::mapping::kernel
