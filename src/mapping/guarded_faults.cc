// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// The SIGBUS handler behind guarded.h.

#include <signal.h>  // NOLINT(modernize-deprecated-headers): sigaction is that of POSIX

#include <atomic>
#include <mutex>

#include "mapping/guarded.h"

#include "mapping/guarded_portable.h"

#if defined(__x86_64__)
#include <ucontext.h>
#endif

namespace engram::mapping {

namespace detail {

void unblock_faults() {
  sigset_t faults;
  ::sigemptyset(&faults);
  ::sigaddset(&faults, SIGBUS);
  ::pthread_sigmask(SIG_UNBLOCK, &faults, nullptr);
}

}  // namespace detail

namespace {

std::mutex installing;
bool installed = false;
bool left_to_the_program = false;
std::atomic<const detail::GuardedModule*> modules = nullptr;
struct sigaction previous_action;  // written before our handler is installed, never again
std::atomic<bool> previous_used_up = false;

#if defined(__x86_64__)

const std::byte* target_of(const std::int32_t& field) {
  return reinterpret_cast<const std::byte*>(&field) + field;
}

/// Whether the fault was in guarded code; the thread then goes on behind that code.
bool resume_after_fault(void* context) {
  auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  const auto* const at = reinterpret_cast<const std::byte*>(registers[REG_RIP]);
  constexpr greg_t kCarryFlag = 1;
  for (const auto* module = modules.load(std::memory_order_acquire); module != nullptr;
       module = module->next) {
    for (const auto* range = module->begin; range != module->end; ++range) {
      if (at < target_of(range->begin) || at >= target_of(range->end)) continue;
      registers[REG_RIP] = reinterpret_cast<greg_t>(target_of(range->end));
      registers[REG_EFL] |= kCarryFlag;
      return true;
    }
  }
  return false;
}

#else

bool resume_after_fault(void* /*context*/) {
  return detail::jump_out_of_fault();
}

#endif

/// Whether the instruction that was interrupted caused the signal. Others may arrive while guarded
/// code runs: from kill(2), and for a broken page that somebody may want to touch one day
/// (BUS_MCEERR_AO, sigaction(2)).
bool is_fault(const siginfo_t& info) {
  return info.si_code > 0 && info.si_code != BUS_MCEERR_AO;
}

/// What the kernel does on SIG_DFL and SIG_IGN.
void take_default(const siginfo_t& info, bool ignored) {
  if (ignored && !is_fault(info)) return;
  // A fault repeats itself when the handler returns, and then leaves a core dump of the right
  // place; any other signal is sent again, and arrives when the handler returns.
  struct sigaction action = {};
  action.sa_handler = SIG_DFL;
  ::sigaction(SIGBUS, &action, nullptr);
  if (!is_fault(info)) ::raise(SIGBUS);
}

/// Gives a signal that is not ours to whoever was there before, as the kernel would have.
void chain(int signal_number, siginfo_t* info, void* context) {
  const struct sigaction& previous = previous_action;
  const bool takes_info = (previous.sa_flags & SA_SIGINFO) != 0;
  if (!takes_info && (previous.sa_handler == SIG_DFL || previous.sa_handler == SIG_IGN)) {
    return take_default(*info, previous.sa_handler == SIG_IGN);
  }
  if ((previous.sa_flags & static_cast<int>(SA_RESETHAND)) != 0 &&
      previous_used_up.exchange(true)) {
    return take_default(*info, false);
  }
  // SIGBUS is blocked here; the end of the handler restores the mask.
  ::pthread_sigmask(SIG_BLOCK, &previous.sa_mask, nullptr);
  if ((previous.sa_flags & SA_NODEFER) != 0) detail::unblock_faults();
  if (takes_info) {
    previous.sa_sigaction(signal_number, info, context);
  } else {
    previous.sa_handler(signal_number);
  }
}

void on_signal(int signal_number, siginfo_t* info, void* context) {
  if (is_fault(*info) && resume_after_fault(context)) return;
  chain(signal_number, info, context);
}

void install() {
  ::sigaction(SIGBUS, nullptr, &previous_action);
  struct sigaction action = {};
  action.sa_sigaction = on_signal;
  // SA_RESTART: a signal that is passed on or ignored interrupts no more system calls than before.
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  const bool handled =
      (previous_action.sa_flags & SA_SIGINFO) != 0 ||
      (previous_action.sa_handler != SIG_IGN && previous_action.sa_handler != SIG_DFL);
  if (!handled || (previous_action.sa_flags & SA_RESTART) != 0) action.sa_flags |= SA_RESTART;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(SIGBUS, &action, nullptr);
  installed = true;
}

}  // namespace

namespace detail {

void handle_faults(GuardedModule& module) noexcept {
  const std::scoped_lock lock(installing);
  if (module.handled.load(std::memory_order_relaxed)) return;
  module.next = modules.load(std::memory_order_relaxed);
  modules.store(&module, std::memory_order_release);
  if (!installed && !left_to_the_program) install();
  module.handled.store(true, std::memory_order_release);
}

}  // namespace detail

void leave_faults_to_the_program() noexcept {
  const std::scoped_lock lock(installing);
  left_to_the_program = true;
}

}  // namespace engram::mapping
