// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Loads, stores and copies of mapped bytes that may fault (a truncated file, a failing disk, an
// empty pool of huge pages): the fault becomes a short count, never a signal. All accesses to
// memory that somebody else may write go through here: the instructions are assembler, which the
// compiler can neither repeat nor invent.
//
// A naturally aligned load or store of 1, 2, 4 or 8 bytes is one access and never tears. Copies of
// other sizes may.
//
// A SIGBUS handler is installed at the first use; a signal that did not come from here goes to the
// handler that was installed before. A program that installs its own SIGBUS handler later has to
// pass on what it does not know, and must not block SIGBUS in a thread that uses this. A shared
// object that contains code of this header must stay loaded (link it with -z nodelete).

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>

#include "base/bytes.h"
#include "mapping/pod.h"

// g++ says so by macros, clang 14 by features.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ENGRAM_ADDRESS_SANITIZER
#endif
#if __has_feature(thread_sanitizer)
#define ENGRAM_THREAD_SANITIZER
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define ENGRAM_ADDRESS_SANITIZER
#elif defined(__SANITIZE_THREAD__)
#define ENGRAM_THREAD_SANITIZER
#endif

namespace engram::mapping {
namespace detail {

#if defined(__x86_64__)
/// Instructions that may fault, from the first one to the one behind the last: distances from the
/// two fields themselves, so that the table needs no relocation. A fault in between goes on at the
/// end with the carry flag set.
struct GuardedRange {
  std::int32_t begin;
  std::int32_t end;
};
// The linker defines these two in each program and each shared object, around its own table.
extern "C" [[gnu::visibility("hidden")]] const GuardedRange
    __start_engram_guarded[];  // NOLINT(bugprone-reserved-identifier)
extern "C" [[gnu::visibility(
    "hidden")]] const GuardedRange __stop_engram_guarded[];  // NOLINT(bugprone-reserved-identifier)
#endif

/// What the fault handler has to know about one program or shared object.
struct GuardedModule {
#if defined(__x86_64__)
  const GuardedRange* begin = __start_engram_guarded;
  const GuardedRange* end = __stop_engram_guarded;
#endif
  const GuardedModule* next = nullptr;
  std::atomic<bool> handled = false;
};
// Hidden: every module has its own. So is what is compiled for it: a function of another module
// would ask about its own one.
[[gnu::visibility("hidden")]] inline constinit GuardedModule guarded_module;

/// Makes the handler, which it installs if there is none yet, know the module.
[[gnu::cold]] void handle_faults(GuardedModule& module) noexcept;

[[gnu::visibility("hidden")]] inline bool faults_handled() {
  return guarded_module.handled.load(std::memory_order_acquire);
}
[[gnu::visibility("hidden")]] inline void ensure_faults_handled() {
  if (!faults_handled()) [[unlikely]]
    handle_faults(guarded_module);
}

// AddressSanitizer does not see the assembler's accesses: it is asked. Elsewhere these are nothing.
#if defined(ENGRAM_ADDRESS_SANITIZER)
extern "C" void __asan_loadN(const void*, std::size_t);   // NOLINT(bugprone-reserved-identifier)
extern "C" void __asan_storeN(const void*, std::size_t);  // NOLINT(bugprone-reserved-identifier)
inline void check_load(const void* from, std::size_t size) {
  __asan_loadN(from, size);
}
inline void check_store(const void* to, std::size_t size) {
  __asan_storeN(to, size);
}
#else
inline void check_load(const void* /*from*/, std::size_t /*size*/) {}
inline void check_store(const void* /*to*/, std::size_t /*size*/) {}
#endif

// Ordering around a guarded load or store. x86-64 orders them all but a store and a later load; the
// assembler's memory clobber keeps the compiler from moving accesses. ThreadSanitizer is told.
#if defined(ENGRAM_THREAD_SANITIZER)
extern "C" void __tsan_acquire(void*);  // NOLINT(bugprone-reserved-identifier)
extern "C" void __tsan_release(void*);  // NOLINT(bugprone-reserved-identifier)
inline void acquire(const std::byte* at) {
  __tsan_acquire(const_cast<std::byte*>(at));
}
inline void release(std::byte* at) {
  __tsan_release(at);
}
#elif defined(__x86_64__)
inline void acquire(const std::byte* /*at*/) {}
inline void release(std::byte* /*at*/) {}
#else
inline void acquire(const std::byte* /*at*/) {
  __sync_synchronize();
}
inline void release(std::byte* /*at*/) {
  __sync_synchronize();
}
#endif
inline void full_fence() {
  __sync_synchronize();
}

#if defined(__x86_64__)

// Each piece of assembler, from its label 1 up to label 2, adds its GuardedRange to the section
// engram_guarded. The section is retained (R), because nothing but the linker's own symbols refers
// to it, and belongs to the group of the function that it stands in (?), so that both are kept or
// dropped together. The moves leave the flags alone: carry is set only by the handler.
//
// A macro, because assembler is made of literals: the form of an entry is written once.
#define ENGRAM_GUARDED_RANGE                            \
  ".pushsection engram_guarded, \"aR?\", @progbits\n\t" \
  ".balign 4\n\t"                                       \
  ".long 1b - .\n\t"                                    \
  ".long 2b - .\n\t"                                    \
  ".popsection"

// The size is an operand that nothing uses: without it g++ 12 takes the assembler of all sizes for
// the same code, and folds functions that differ in nothing else (-flto, -fipa-icf).

template <class T>
[[gnu::always_inline]] inline bool load_or_fault(const std::byte* from, T& value) {
  bool fault;
  asm volatile(
      "clc\n"
      "1: mov (%[from]), %[value]\n"
      "2:\n\t" ENGRAM_GUARDED_RANGE
      : [value] "=r"(value), "=@ccc"(fault)
      : [from] "r"(from), "i"(sizeof(T))
      : "memory");
  return !fault;
}

template <class T>
[[gnu::always_inline]] inline bool store_or_fault(std::byte* to, T value) {
  bool fault;
  asm volatile(
      "clc\n"
      "1: mov %[value], (%[to])\n"
      "2:\n\t" ENGRAM_GUARDED_RANGE
      : "=@ccc"(fault)
      : [to] "r"(to), [value] "r"(value), "i"(sizeof(T))
      : "memory");
  return !fault;
}

#else

bool jump_load(const std::byte* from, void* value, std::size_t size);
bool jump_store(std::byte* to, const void* value, std::size_t size);

template <class T>
bool load_or_fault(const std::byte* from, T& value) {
  return jump_load(from, &value, sizeof value);
}
template <class T>
bool store_or_fault(std::byte* to, T value) {
  return jump_store(to, &value, sizeof value);
}

#endif

// The first access of a module, out of line, so that the others are a few instructions.
template <class T>
[[gnu::visibility("hidden"), gnu::cold, gnu::noinline]] bool first_load(const std::byte* from,
                                                                        T& value) {
  handle_faults(guarded_module);
  return load_or_fault(from, value);
}
template <class T>
[[gnu::visibility("hidden"), gnu::cold, gnu::noinline]] bool first_store(std::byte* to, T value) {
  handle_faults(guarded_module);
  return store_or_fault(to, value);
}

}  // namespace detail

/// One load of a value of 1, 2, 4 or 8 bytes at any address; nothing if it faults.
template <AtomicInteger T = std::uint64_t>
[[nodiscard]] inline std::optional<T> guarded_load(const std::byte* from) noexcept {
  detail::check_load(from, sizeof(T));
  std::make_unsigned_t<T> value;
  if (!detail::faults_handled()) [[unlikely]] {
    std::make_unsigned_t<T> first = 0;
    if (!detail::first_load(from, first)) return std::nullopt;
    value = first;
  } else if (!detail::load_or_fault(from, value)) [[unlikely]] {
    return std::nullopt;
  }
  return static_cast<T>(value);
}

/// One store of a value of 1, 2, 4 or 8 bytes at any address; false if it faults.
template <AtomicInteger T>
[[nodiscard]] inline bool guarded_store(std::byte* to, T value) noexcept {
  detail::check_store(to, sizeof(T));
  const auto bits = static_cast<std::make_unsigned_t<T>>(value);
  if (!detail::faults_handled()) [[unlikely]]
    return detail::first_store(to, bits);
  return detail::store_or_fault(to, bits);
}

/// Copies `from` to `to` (the shorter of both sizes) and returns the number of bytes copied before
/// the first byte that faulted: all of them if none did. No byte behind the count is written. The
/// ranges must not overlap. Either side may be the one that faults. 1, 2, 4 or 8 bytes are one load
/// and one store.
[[nodiscard]] std::size_t guarded_copy(MutableBytes to, Bytes from) noexcept;

/// The same for ranges that may overlap. After a fault the count is that of the bytes at the
/// beginning that are known to be copied: 0 if the copy ran backwards.
[[nodiscard]] std::size_t guarded_move(MutableBytes to, Bytes from) noexcept;

/// Sets the bytes and returns how many were set before the first fault.
[[nodiscard]] std::size_t guarded_fill(MutableBytes to, std::byte value) noexcept;

/// Compares; nothing if a byte of `memory` faults. Both have the same size.
[[nodiscard]] std::optional<bool> guarded_equal(Bytes memory, Bytes expected) noexcept;

/// For programs whose signals belong to somebody else: from now on no handler is installed (one
/// that is stays). A fault in an access through this header, and so through every view, is then an
/// ordinary SIGBUS; memory that may fault is to be copied by the functions below, as regions with
/// FaultPolicy::syscall do.
void leave_faults_to_the_program() noexcept;

/// process_vm_readv(2) and process_vm_writev(2) on this process: the same results without any
/// signal, at the price of a system call. Where the call is forbidden (seccomp) no byte is copied.
[[nodiscard]] std::size_t syscall_copy_in(MutableBytes to_private, Bytes from) noexcept;
[[nodiscard]] std::size_t syscall_copy_out(MutableBytes to, Bytes from_private) noexcept;

}  // namespace engram::mapping
