// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/process_strings.h"

#include <fmt/core.h>

#include <algorithm>
#include <string_view>

namespace engram::kernel {
namespace {

// An exec may bring a quarter of the stack limit, at most 6 MiB (_STK_LIM / 4 * 3, fs/exec.c).
constexpr std::uint64_t kStringsLimit = 8 * kMiB;

/// Splits at NULs. The last string may lack its NUL.
std::vector<std::string> split(const std::string& block) {
  std::vector<std::string> strings;
  for (std::size_t at = 0; at < block.size();) {
    const auto end = std::min(block.find('\0', at), block.size());
    strings.push_back(block.substr(at, end - at));
    at = end + 1;
  }
  return strings;
}

bool is_plain(char c) {
  constexpr std::string_view kPlain = "%+,-./:=@_";
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         (c & 0x80) != 0 || kPlain.find(c) != std::string_view::npos;
}

}  // namespace

ProcessStrings::ProcessStrings(const LinuxKernel& kernel) : kernel_(kernel) {
  const Layout mm(kernel.types(), kernel.reader().diagnostics(), "mm_struct");
  arg_start_ = mm.field<std::uint64_t>("arg_start");
  arg_end_ = mm.field<std::uint64_t>("arg_end");
  env_start_ = mm.field<std::uint64_t>("env_start");
  env_end_ = mm.field<std::uint64_t>("env_end");
}

std::optional<ProcessStrings::Bounds> ProcessStrings::bounds(VirtAddr mm) const {
  const auto& reader = kernel_.reader();
  const auto arg_start = reader.get(mm, arg_start_), arg_end = reader.get(mm, arg_end_);
  const auto env_start = reader.get(mm, env_start_), env_end = reader.get(mm, env_end_);
  if (!arg_start || !arg_end || !env_start || !env_end) return std::nullopt;
  return Bounds{*arg_start, *arg_end, *env_start, *env_end};
}

std::optional<std::string> ProcessStrings::read(VirtAddr mm, PhysAddr page_table,
                                                std::uint64_t start, std::uint64_t end,
                                                std::string_view what) const {
  if (start >= end) return std::string();
  if (end - start > kStringsLimit) {
    kernel_.reader().report(what, mm,
                            fmt::format("0x{:x} to 0x{:x} is more than the {} MiB that can be",
                                        start, end, kStringsLimit / kMiB));
    return std::nullopt;
  }
  std::string block(static_cast<std::size_t>(end - start), '\0');
  const auto bytes = std::as_writable_bytes(std::span(block.data(), block.size()));
  if (const auto done = kernel_.space_at(page_table).read_exact(VirtAddr(start), bytes); !done) {
    kernel_.reader().report(what, mm, paging::to_string(done.error()));
    return std::nullopt;
  }
  return block;
}

// get_mm_cmdline() and get_mm_proctitle() in fs/proc/base.c.
std::optional<std::vector<std::string>> ProcessStrings::arguments(VirtAddr mm,
                                                                  PhysAddr page_table) const {
  const auto at = bounds(mm);
  if (!at) return std::nullopt;
  if (at->env_end == 0 || at->arg_start >= at->arg_end) return std::vector<std::string>();
  auto block = read(mm, page_table, at->arg_start, at->arg_end, "mm_struct.arg_start");
  if (!block) return std::nullopt;
  if (block->back() == '\0') return split(*block);

  // The last NUL was overwritten: setproctitle(3), whose one string may go on into the environment,
  // up to a page.
  const bool adjacent = at->env_start == at->arg_end && at->env_end >= at->env_start;
  const std::uint64_t end =
      std::min(adjacent ? at->env_end : at->arg_end, at->arg_start + kPageSize);
  block = read(mm, page_table, at->arg_start, end, "mm_struct.arg_start");
  if (!block) return std::nullopt;
  return std::vector<std::string>{block->substr(0, block->find('\0'))};
}

std::optional<std::vector<std::string>> ProcessStrings::environment(VirtAddr mm,
                                                                    PhysAddr page_table) const {
  const auto at = bounds(mm);
  if (!at) return std::nullopt;
  const auto block = read(mm, page_table, at->env_start, at->env_end, "mm_struct.env_start");
  return block ? std::optional(split(*block)) : std::nullopt;
}

std::string shell_words(const std::vector<std::string>& strings) {
  std::string text;
  for (const auto& string : strings) {
    if (!text.empty() || &string != &strings.front()) text += ' ';
    if (!string.empty() && std::all_of(string.begin(), string.end(), is_plain)) {
      text += string;
      continue;
    }
    text += '\'';
    for (const char c : string) {
      if (c == '\'')
        text += R"('\'')";
      else
        text += c;
    }
    text += '\'';
  }
  return text;
}

}  // namespace engram::kernel
