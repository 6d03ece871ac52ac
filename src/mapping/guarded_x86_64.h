// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The instructions of guarded.cc's copies on x86-64. What faults is described in guarded.h: the
// assembler goes on behind its last instruction with the carry flag set.
//
// A copy of n bytes has no inner border whose distance to the beginning is not a multiple of a
// power of two that divides n: the pieces overlap at the end. A member of a structure that lies
// aligned in it is therefore moved by one instruction, though nothing promises it.

#if defined(__x86_64__)

#include <cstddef>
#include <cstdint>

#include "mapping/guarded.h"

namespace engram::mapping::detail {

/// Copies byte by byte: exact, slow to start. Returns the number of bytes that were not copied: a
/// fault leaves the registers of a string instruction as they are (SDM volume 2, REP).
inline std::size_t copy_string(std::byte* to, const std::byte* from, std::size_t size) {
  asm volatile(
      "1: rep movsb\n"
      "2:\n\t" ENGRAM_GUARDED_RANGE
      : "+D"(to), "+S"(from), "+c"(size)
      :
      : "memory");
  return size;
}

/// Returns the number of bytes that were not set.
inline std::size_t fill_string(std::byte* to, std::byte value, std::size_t size) {
  asm volatile(
      "1: rep stosb\n"
      "2:\n\t" ENGRAM_GUARDED_RANGE
      : "+D"(to), "+c"(size)
      : "a"(value)
      : "memory");
  return size;
}

/// sizeof(T) to 2 * sizeof(T) bytes; false if one of the four instructions faulted.
template <class T>
inline bool copy_pair(std::byte* to, const std::byte* from, std::size_t size) {
  const std::size_t last = size - sizeof(T);
  T head;
  T tail;
  bool fault;
  asm volatile(
      "clc\n"
      "1: mov (%[from]), %[head]\n\t"
      "mov (%[from], %[last]), %[tail]\n\t"
      "mov %[head], (%[to])\n\t"
      "mov %[tail], (%[to], %[last])\n"
      "2:\n\t" ENGRAM_GUARDED_RANGE
      : [head] "=&r"(head), [tail] "=&r"(tail), "=@ccc"(fault)
      : [to] "r"(to), [from] "r"(from), [last] "r"(last), "i"(sizeof(T))
      : "memory");
  return !fault;
}

/// 16 to 32 bytes.
inline bool copy_upto_32(std::byte* to, const std::byte* from, std::size_t size) {
  bool fault;
  asm volatile(
      "clc\n"
      "1: movups (%[from]), %%xmm0\n\t"
      "movups -16(%[from], %[size]), %%xmm1\n\t"
      "movups %%xmm0, (%[to])\n\t"
      "movups %%xmm1, -16(%[to], %[size])\n"
      "2:\n\t" ENGRAM_GUARDED_RANGE
      : "=@ccc"(fault)
      : [to] "r"(to), [from] "r"(from), [size] "r"(size)
      : "memory", "xmm0", "xmm1");
  return !fault;
}

/// 32 to 64 bytes.
inline bool copy_upto_64(std::byte* to, const std::byte* from, std::size_t size) {
  bool fault;
  asm volatile(
      "clc\n"
      "1: movups (%[from]), %%xmm0\n\t"
      "movups 16(%[from]), %%xmm1\n\t"
      "movups -32(%[from], %[size]), %%xmm2\n\t"
      "movups -16(%[from], %[size]), %%xmm3\n\t"
      "movups %%xmm0, (%[to])\n\t"
      "movups %%xmm1, 16(%[to])\n\t"
      "movups %%xmm2, -32(%[to], %[size])\n\t"
      "movups %%xmm3, -16(%[to], %[size])\n"
      "2:\n\t" ENGRAM_GUARDED_RANGE
      : "=@ccc"(fault)
      : [to] "r"(to), [from] "r"(from), [size] "r"(size)
      : "memory", "xmm0", "xmm1", "xmm2", "xmm3");
  return !fault;
}

/// 64 bytes or more, in blocks of 64, the last of which overlaps the one in front of it. Returns
/// the number of bytes that were not copied, as far as is known: a faulting block counts as not
/// copied, whatever became of it.
inline std::size_t copy_blocks_of_64(std::byte* to, const std::byte* from, std::size_t size) {
  bool fault;
  std::size_t left = size;
  asm volatile(
      "1: movups (%[from]), %%xmm0\n\t"
      "movups 16(%[from]), %%xmm1\n\t"
      "movups 32(%[from]), %%xmm2\n\t"
      "movups 48(%[from]), %%xmm3\n\t"
      "movups %%xmm0, (%[to])\n\t"
      "movups %%xmm1, 16(%[to])\n\t"
      "movups %%xmm2, 32(%[to])\n\t"
      "movups %%xmm3, 48(%[to])\n\t"
      "add $64, %[from]\n\t"
      "add $64, %[to]\n\t"
      "sub $64, %[left]\n\t"
      "cmp $64, %[left]\n\t"
      "jae 1b\n\t"
      "clc\n"
      "2:\n\t" ENGRAM_GUARDED_RANGE
      : [to] "+r"(to), [from] "+r"(from), [left] "+r"(left), "=@ccc"(fault)
      :
      : "memory", "xmm0", "xmm1", "xmm2", "xmm3");
  if (fault || left == 0) return left;
  const std::size_t overlap = 64 - left;
  return copy_upto_64(to - overlap, from - overlap, 64) ? 0 : left;
}

/// The same with 128 bytes and the registers of AVX, which the processor must have. At least 128
/// bytes.
inline std::size_t copy_blocks_of_128(std::byte* to, const std::byte* from, std::size_t size) {
  bool fault;
  std::size_t left = size;
  asm volatile(
      "1: vmovdqu (%[from]), %%ymm0\n\t"
      "vmovdqu 32(%[from]), %%ymm1\n\t"
      "vmovdqu 64(%[from]), %%ymm2\n\t"
      "vmovdqu 96(%[from]), %%ymm3\n\t"
      "vmovdqu %%ymm0, (%[to])\n\t"
      "vmovdqu %%ymm1, 32(%[to])\n\t"
      "vmovdqu %%ymm2, 64(%[to])\n\t"
      "vmovdqu %%ymm3, 96(%[to])\n\t"
      "sub $-128, %[from]\n\t"
      "sub $-128, %[to]\n\t"
      "add $-128, %[left]\n\t"
      "cmp $128, %[left]\n\t"
      "jae 1b\n\t"
      "clc\n"
      "2: vzeroupper\n\t"  // leaves the flags alone
      ENGRAM_GUARDED_RANGE
      : [to] "+r"(to), [from] "+r"(from), [left] "+r"(left), "=@ccc"(fault)
      :
      : "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
        "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
  if (fault || left == 0) return left;
  if (left > 64) {  // not the loop again: its overlap would be of more bytes than there are left
    if (!copy_upto_64(to, from, 64)) return left;
    to += 64;
    from += 64;
    left -= 64;
  }
  const std::size_t overlap = 64 - left;
  return copy_upto_64(to - overlap, from - overlap, 64) ? 0 : left;
}

/// sizeof(T) bytes: one load, one store. A byte that is written twice could undo what somebody else
/// wrote in between.
template <class T>
inline bool copy_one(std::byte* to, const std::byte* from) {
  T value;
  return load_or_fault(from, value) && store_or_fault(to, value);
}

/// At most 16 bytes.
inline bool copy_upto_16(std::byte* to, const std::byte* from, std::size_t size) {
  if (size > 8) return copy_pair<std::uint64_t>(to, from, size);
  if (size == 8) return copy_one<std::uint64_t>(to, from);
  if (size > 4) return copy_pair<std::uint32_t>(to, from, size);
  if (size == 4) return copy_one<std::uint32_t>(to, from);
  if (size == 3) return copy_pair<std::uint16_t>(to, from, size);
  if (size == 2) return copy_one<std::uint16_t>(to, from);
  return size == 0 || copy_one<std::uint8_t>(to, from);
}

}  // namespace engram::mapping::detail

#endif
