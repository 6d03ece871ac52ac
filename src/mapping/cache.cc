// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/cache.h"

#include "mapping/guarded.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace engram::mapping {
namespace {

#if defined(__x86_64__)

/// SDM volume 2, CPUID leaf 1: EBX[15:8] in units of 8 bytes, if EDX[19] says that there is
/// CLFLUSH.
std::size_t find_line_size() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0 || (edx & (1U << 19)) == 0) return 0;
  return ((ebx >> 8) & 0xFF) * 8;
}

/// CLFLUSH faults as a load does, and changes no flag; guarded.h describes the table.
bool flush_line(const std::byte* line) {
  bool fault;
  asm volatile(
      "clc\n"
      "1: clflush (%[line])\n"
      "2:\n\t" ENGRAM_GUARDED_RANGE
      : "=@ccc"(fault)
      : [line] "r"(line)
      : "memory");
  return !fault;
}

void finish_flush() {
  asm volatile("mfence" ::: "memory");
}

#elif defined(__aarch64__)

/// CTR_EL0.DminLine: log2 of the words in the smallest line (Arm ARM, D19.2.34).
std::size_t find_line_size() {
  std::uint64_t type = 0;
  asm("mrs %0, ctr_el0" : "=r"(type));
  return std::size_t{4} << ((type >> 16) & 0xF);
}

bool flush_line(const std::byte* line) {
  // The load brings out a fault that the flush would have.
  if (!guarded_load<std::uint8_t>(line)) return false;
  asm volatile("dc cvac, %0" ::"r"(line) : "memory");
  return true;
}

void finish_flush() {
  asm volatile("dsb sy" ::: "memory");
}

#else

std::size_t find_line_size() {
  return 0;
}
bool flush_line(const std::byte* /*line*/) {
  return false;
}
void finish_flush() {}

#endif

}  // namespace

std::size_t data_cache_line() {
  static const std::size_t size = find_line_size();
  return size;
}

MemoryResult<std::size_t> flush_data_cache(const std::byte* from, std::size_t size) {
  const std::size_t line_size = data_cache_line();
  if (line_size == 0) return fail_memory(MemoryErrc::unsupported);
  detail::ensure_faults_handled();
  const auto address = reinterpret_cast<std::uintptr_t>(from);
  bool good = true;
  const std::size_t lines = for_each_cache_line(address, size, line_size, [&](std::uint64_t line) {
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    if (!flush_line(reinterpret_cast<const std::byte*>(line))) good = false;
  });
  finish_flush();
  if (!good) return fail_memory(MemoryErrc::source_truncated);
  return lines;
}

void flush_instruction_cache(const std::byte* from, std::size_t size) {
  auto* const first = reinterpret_cast<char*>(const_cast<std::byte*>(from));
  __builtin___clear_cache(first, first + size);
}

}  // namespace engram::mapping
