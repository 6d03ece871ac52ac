// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <limits>

#include "kernel/windows/windows_kernel.h"
#include "tables/table.h"

namespace engram::tables {
namespace {

using kernel::Session;
using kernel::WindowsKernel;

Result<Rows<WindowsKernel*>> open(Session& session, std::span<const KeyValue>) {
  ENGRAM_TRY(auto* kernel, session.windows_kernel());
  return rows_of(std::vector{kernel});
}

Value version(WindowsKernel* const& kernel, Session&) {
  const auto& shared = kernel->map().shared;
  if (!shared) return Null{};
  return fmt::format("{}.{}.{}", shared->major_version, shared->minor_version, kernel->build());
}

/// Unix time in units of 100 ns.
std::optional<std::int64_t> boot_ticks(WindowsKernel* const& kernel) {
  constexpr std::uint64_t kTicksTo1970 = 116'444'736'000'000'000;
  constexpr std::uint64_t kLatest = std::numeric_limits<std::int64_t>::max();
  const auto boot = kernel->boot_time();
  if (!boot || *boot < kTicksTo1970 || *boot - kTicksTo1970 > kLatest) return std::nullopt;
  return static_cast<std::int64_t>(*boot - kTicksTo1970);
}

}  // namespace

const Table& windows_os_version_table() {
  static const DataTable<WindowsKernel*> table(
      "os_version", "its version and build; one row.", 1,
      {
          {{"arch", Type::text, "x86_64, arm64 or x86."},
           [](WindowsKernel* const& kernel, Session&) {
             return cell(to_string(kernel->map().mode.architecture));
           }},
          {{"kernel_version", Type::text, "Version and build."}, version},
          {{"system_version", Type::text, "NtBuildLab; NULL without KDBG."},
           [](WindowsKernel* const& kernel, Session&) { return cell(kernel->build_lab()); }},
          {{"build", Type::integer, "Windows: number of the build; 0 if it is not known.", true},
           [](WindowsKernel* const& kernel, Session&) { return cell(kernel->build()); }},
          {{"system_root", Type::text, "Windows: its folder, as `C:\\Windows`.", true},
           [](WindowsKernel* const& kernel, Session&) {
             const auto& shared = kernel->map().shared;
             return shared ? cell(shared->system_root) : Value{Null{}};
           }},
      },
      open);
  return table;
}

const Table& windows_boot_time_table() {
  constexpr std::int64_t kTicksPerSecond = 10'000'000, kNanosecondsPerTick = 100;
  constexpr std::int64_t kLatest = std::numeric_limits<std::int64_t>::max() / kNanosecondsPerTick;
  static const DataTable<WindowsKernel*> table(
      "boot_time", "from the times in the crash header, else from KUSER_SHARED_DATA; one row.", 1,
      {
          {{"boot_time", Type::integer, "Unix time in seconds."},
           [](WindowsKernel* const& kernel, Session&) {
             const auto ticks = boot_ticks(kernel);
             return ticks ? cell(*ticks / kTicksPerSecond) : Value{Null{}};
           }},
          {{"boot_time_ns", Type::integer, "The same in nanoseconds; NULL after 2262."},
           [](WindowsKernel* const& kernel, Session&) {
             const auto ticks = boot_ticks(kernel);
             return ticks && *ticks <= kLatest ? cell(*ticks * kNanosecondsPerTick) : Value{Null{}};
           }},
      },
      open);
  return table;
}

}  // namespace engram::tables
