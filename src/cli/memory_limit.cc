// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/memory_limit.h"

#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <fstream>
#include <string_view>

#include "sql/database.h"

namespace engram::cli {
namespace {

/// Bytes of data and stack that the process has; 0 if the system does not say.
std::uint64_t data_size() {
  std::ifstream statm("/proc/self/statm");  // proc(5): size resident shared text lib data dt
  std::uint64_t pages = 0;
  for (int field = 0; field < 6; ++field) statm >> pages;
  const long page_size = ::sysconf(_SC_PAGESIZE);
  return statm && page_size > 0 ? pages * static_cast<std::uint64_t>(page_size) : 0;
}

/// RLIMIT_DATA bounds private memory that can be written, however it was mapped (Linux 4.7,
/// mm/mmap.c, may_expand_vm()).
void limit_data(std::uint64_t bytes) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_DATA, &limit) != 0) return;
  const rlim_t wanted = std::min<rlim_t>(data_size() + bytes + kOwnMemory, limit.rlim_max);
  limit.rlim_cur = std::min(limit.rlim_cur, wanted);
  ::setrlimit(RLIMIT_DATA, &limit);
}

}  // namespace

Result<std::uint64_t> parse_memory(const std::string& text) {
  constexpr std::string_view kDigits = "0123456789";
  std::uint64_t bytes = 0;
  try {
    std::string number = text;
    const bool is_number = !text.empty() && kDigits.find(text.front()) != std::string_view::npos &&
                           CLI::AsSizeValue(/*kb_is_1000=*/false)(number).empty();
    if (!is_number || !CLI::detail::lexical_cast(number, bytes)) bytes = 0;
  } catch (const CLI::ValidationError&) {
    bytes = 0;
  }
  if (bytes >= kLeastMemory) return bytes;
  return fail("{}: expected {}", text, kMemoryExpected);
}

void limit_memory(std::uint64_t bytes) {
  // A half: the kernel's objects, the rows that are kept and the answer need memory, too.
  sql::limit_sqlite_memory(bytes / 2);
  // The sanitizers' own memory, which is a multiple, would count.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  limit_data(bytes);
#endif
}

}  // namespace engram::cli
