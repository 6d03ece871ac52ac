// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/system.h"

#include <fmt/core.h>

namespace engram::kernel {
namespace {

/// Where the core timekeeper lies.
std::optional<VirtAddr> find_timekeeper(const LinuxKernel& kernel) {
  // Newer kernels name the structure around it (tk_data) and keep several, of which the core is the
  // first.
  auto base = kernel.symbols().address_of("timekeeper_data");
  if (!base) base = kernel.symbols().address_of("tk_core");
  if (!base) return std::nullopt;
  if (const auto member = kernel.types().find_member("tk_data", "timekeeper"))
    return *base + member->byte_offset();
  // Before, it was anonymous: { seqcount_raw_spinlock_t seq; struct timekeeper timekeeper; }.
  const auto count = kernel.types().find("seqcount_raw_spinlock_t", types::Kind::typedef_type);
  const auto size = count ? kernel.types().size_of(*count) : std::nullopt;
  return *base + align_up(size.value_or(sizeof(std::uint32_t)), sizeof(std::uint64_t));
}

}  // namespace

Utsname read_utsname(const LinuxKernel& kernel) {
  auto& diagnostics = kernel.reader().diagnostics();
  const auto space = kernel.symbols().address_of("init_uts_ns");
  const auto name = Layout(kernel.types(), diagnostics, "uts_namespace").offset_of("name");
  if (!space || !name) {
    diagnostics.add(Level::warning, "os_version",
                    "the kernel has no symbol init_uts_ns or no uts_namespace.name");
    return {};
  }
  const VirtAddr at = *space + *name;
  const Layout layout(kernel.types(), diagnostics, "new_utsname");
  const auto text = [&](const char* member) {
    return kernel.reader().text(at, layout.text(member));
  };
  return {text("nodename"), text("release"), text("version"), text("machine"), text("domainname")};
}

std::optional<BootTime> read_boot_time(const LinuxKernel& kernel) {
  auto& diagnostics = kernel.reader().diagnostics();
  const auto timekeeper = find_timekeeper(kernel);
  if (!timekeeper) {
    diagnostics.add(Level::warning, "boot_time",
                    "the kernel has neither symbol timekeeper_data nor tk_core");
    return std::nullopt;
  }
  const Layout layout(kernel.types(), diagnostics, "timekeeper");
  const auto real = kernel.reader().get(*timekeeper, layout.field<std::int64_t>("offs_real"));
  const auto boot = kernel.reader().get(*timekeeper, layout.field<std::int64_t>("offs_boot"));
  if (!real || !boot) return std::nullopt;
  // Both are offsets to CLOCK_MONOTONIC. What lies outside 1970 .. 2262 or sleeps longer than it
  // lives is no clock.
  std::int64_t nanoseconds = 0;
  if (*real < 0 || *boot < 0 || __builtin_sub_overflow(*real, *boot, &nanoseconds) ||
      nanoseconds < 0) {
    kernel.reader().report(
        "boot_time", *timekeeper,
        fmt::format("offs_real {} ns and offs_boot {} ns are no offsets of a clock", *real, *boot));
    return std::nullopt;
  }
  return BootTime{nanoseconds, *timekeeper};
}

}  // namespace engram::kernel
