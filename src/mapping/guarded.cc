// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/guarded.h"

#include <signal.h>  // NOLINT(modernize-deprecated-headers): sigaction is that of POSIX

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <mutex>

#if defined(__x86_64__)
#include <ucontext.h>
#else
#include <csetjmp>
#endif

static_assert(std::endian::native == std::endian::little, "guarded_load returns the host's order");

#if defined(__x86_64__)
/// Where a guarded instruction may fault and where it goes on then: distances from the entry's own
/// two fields, so that the table needs no relocation.
struct GuardedInstruction {
  std::int32_t instruction;
  std::int32_t resume;
};
// The linker defines these two for every section whose name is a C identifier.
extern "C" const GuardedInstruction
    __start_engram_guarded[];  // NOLINT(bugprone-reserved-identifier)
extern "C" const GuardedInstruction
    __stop_engram_guarded[];  // NOLINT(bugprone-reserved-identifier)
#endif

namespace engram::mapping {
namespace {

struct sigaction previous_action;  // written once, before our handler is installed

/// Gives a fault that is not ours to whoever was there before.
void chain(int signal_number, siginfo_t* info, void* context) {
  if ((previous_action.sa_flags & SA_SIGINFO) != 0) {
    previous_action.sa_sigaction(signal_number, info, context);
    return;
  }
  const bool is_fault = info->si_code > 0;  // by the kernel, not by kill(2)
  if (previous_action.sa_handler == SIG_IGN && !is_fault) return;
  if (previous_action.sa_handler != SIG_IGN && previous_action.sa_handler != SIG_DFL) {
    previous_action.sa_handler(signal_number);
    return;
  }
  // The default action: a fault repeats itself when the handler returns, and then leaves a core
  // dump of the right place; a signal that somebody sent has to be sent again.
  struct sigaction default_action = {};
  default_action.sa_handler = SIG_DFL;
  ::sigaction(signal_number, &default_action, nullptr);
  if (!is_fault) ::raise(signal_number);
}

bool resume_after_fault(void* context);

void on_fault(int signal_number, siginfo_t* info, void* context) {
  if (!resume_after_fault(context)) chain(signal_number, info, context);
}

std::atomic<bool> handler_installed = false;

[[gnu::noinline]] void install_handler() {
  static std::once_flag once;
  std::call_once(once, [] {
    ::sigaction(SIGBUS, nullptr, &previous_action);
    struct sigaction action = {};
    action.sa_sigaction = on_fault;
    // The fallback below leaves the handler by a jump, so SIGBUS must not stay blocked: SA_NODEFER.
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    ::sigemptyset(&action.sa_mask);
    ::sigaction(SIGBUS, &action, nullptr);
    handler_installed.store(true, std::memory_order_release);
  });
}

inline void ensure_handler() {
  if (!handler_installed.load(std::memory_order_acquire)) install_handler();
}

#if defined(__x86_64__)

bool resume_after_fault(void* context) {
  auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  const auto target = [](const std::int32_t& field) {
    return reinterpret_cast<std::intptr_t>(&field) + field;
  };
  for (const auto* entry = __start_engram_guarded; entry != __stop_engram_guarded; ++entry) {
    if (target(entry->instruction) == registers[REG_RIP]) {
      registers[REG_RIP] = target(entry->resume);
      return true;
    }
  }
  return false;
}

// Each guarded instruction adds {itself, where to go on} to the table. The section is retained
// ("R"), because nothing but the linker's own symbols refers to it.

/// One load; false if it faulted. The fault skips the instruction that says that it did not.
template <class T>
inline bool load_or_fault(const std::byte* from, T& value) {
  T loaded = 0;
  std::uint32_t good = 0;
  asm volatile(
      "1: mov (%[from]), %[loaded]\n\t"
      "movl $1, %[good]\n\t"
      "2:\n\t"
      ".pushsection engram_guarded, \"aR\", @progbits\n\t"
      ".balign 4\n\t"
      ".long 1b - .\n\t"
      ".long 2b - .\n\t"
      ".popsection"
      : [loaded] "+r"(loaded), [good] "+r"(good)
      : [from] "r"(from)
      : "memory");
  value = loaded;
  return good != 0;
}

/// Returns the number of bytes that were not copied. The instruction keeps RCX exact when it faults
/// (SDM volume 2, REP: "the state of the registers ... allows the string operation to be resumed").
std::size_t copy_or_fault(std::byte* to, const std::byte* from, std::size_t size) {
  asm volatile(
      "1: rep movsb\n\t"
      "2:\n\t"
      ".pushsection engram_guarded, \"aR\", @progbits\n\t"
      ".balign 4\n\t"
      ".long 1b - .\n\t"
      ".long 2b - .\n\t"
      ".popsection"
      : "+D"(to), "+S"(from), "+c"(size)
      :
      : "memory");
  return size;
}

template <class T>
inline bool copy_value(std::byte* to, const std::byte* from) {
  T value;
  if (!load_or_fault(from, value)) return false;
  std::memcpy(to, &value, sizeof value);
  return true;
}

/// First and last T of `size` bytes; they may overlap.
template <class T>
inline bool copy_ends(std::byte* to, const std::byte* from, std::size_t size) {
  return copy_value<T>(to, from) && copy_value<T>(to + size - sizeof(T), from + size - sizeof(T));
}

/// A few bytes without the start-up cost of a string instruction (some 30 ns): true if none
/// faulted.
inline bool copy_small(std::byte* to, const std::byte* from, std::size_t size) {
  if (size >= 8) {
    for (std::size_t at = 0; at + 8 < size; at += 8) {
      if (!copy_value<std::uint64_t>(to + at, from + at)) return false;
    }
    return copy_value<std::uint64_t>(to + size - 8, from + size - 8);
  }
  if (size >= 4) return copy_ends<std::uint32_t>(to, from, size);
  if (size >= 2) return copy_ends<std::uint16_t>(to, from, size);
  return size == 0 || copy_value<std::uint8_t>(to, from);
}

#else

// Elsewhere a fault jumps back to the copy that it interrupted.
thread_local sigjmp_buf* jump_back = nullptr;

bool resume_after_fault(void*) {
  if (jump_back == nullptr) return false;
  siglongjmp(*jump_back, 1);
}

/// Returns the number of bytes that were not copied. Page by page, so that the count is exact to
/// it.
std::size_t copy_or_fault(std::byte* to, const std::byte* from, std::size_t size) {
  sigjmp_buf here;
  volatile std::size_t done = 0;
  if (sigsetjmp(here, 0) == 0) {
    jump_back = &here;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    while (done < size) {
      const std::size_t in_page = 4096 - (reinterpret_cast<std::uintptr_t>(from) + done) % 4096;
      const std::size_t count = std::min(size - done, in_page);
      std::memcpy(to + done, from + done, count);
      std::atomic_signal_fence(std::memory_order_seq_cst);
      done = done + count;
    }
  }
  jump_back = nullptr;
  return size - done;
}

bool copy_small(std::byte* to, const std::byte* from, std::size_t size) {
  return copy_or_fault(to, from, size) == 0;
}

bool load_or_fault(const std::byte* from, std::uint64_t& value) {
  return copy_or_fault(reinterpret_cast<std::byte*>(&value), from, sizeof value) == 0;
}

#endif

constexpr std::size_t kSmall = 64;

}  // namespace

std::size_t guarded_copy(MutableBytes to, Bytes from) noexcept {
  ensure_handler();
  const std::size_t size = std::min(to.size(), from.size());
  if (size <= kSmall && copy_small(to.data(), from.data(), size)) return size;
  return size - copy_or_fault(to.data(), from.data(), size);
}

GuardedWord guarded_word(const std::byte* from) noexcept {
  ensure_handler();
  GuardedWord word;
  word.good = load_or_fault(from, word.value);
  return word;
}

}  // namespace engram::mapping
