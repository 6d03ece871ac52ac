// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/page_size.h"

#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <limits>
#include <optional>
#include <string_view>
#include <system_error>

#include "base/bytes.h"
#include "base/units.h"

namespace engram::mapping {
namespace {

/// Of `hugepages-2048kB`.
std::optional<PageSize> size_in_name(std::string_view name) {
  constexpr std::string_view kPrefix = "hugepages-", kSuffix = "kB";
  if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) return std::nullopt;
  if (name.size() <= kPrefix.size() + kSuffix.size()) return std::nullopt;
  const std::string_view digits =
      name.substr(kPrefix.size(), name.size() - kPrefix.size() - kSuffix.size());
  std::uint64_t kib = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), kib);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  const auto bytes = checked_multiply(kib, kKiB);
  if (!bytes) return std::nullopt;
  const auto size = PageSize::of_bytes(*bytes);
  return size ? std::optional(*size) : std::nullopt;
}

}  // namespace

PageSize PageSize::base() {
  static const PageSize size = [] {
    const long bytes = ::sysconf(_SC_PAGESIZE);
    return PageSize::of_bytes(bytes > 0 ? static_cast<std::uint64_t>(bytes) : kPageSize)
        .value_or(PageSize(12));
  }();
  return size;
}

std::vector<PageSize> PageSizes::list() const {
  std::vector<PageSize> sizes;
  for (std::uint64_t left = mask_; left != 0; left &= left - 1) {
    sizes.push_back(*PageSize::of_bytes(left & (~left + 1)));
  }
  return sizes;
}

MemoryResult<PageSize> PageSizes::single() const {
  if (count() != 1) return fail_memory(MemoryErrc::invalid_size, 0, count());
  return PageSize::of_bytes(mask_);
}

PageSizes supported_page_sizes(const std::string& directory) {
  PageSizes sizes;
  sizes.insert(PageSize::base());
  std::error_code ignored;  // a host without the directory has no other sizes
  std::filesystem::directory_iterator entry(directory, ignored);
  for (; !ignored && entry != std::filesystem::directory_iterator(); entry.increment(ignored)) {
    if (const auto size = size_in_name(entry->path().filename().native())) sizes.insert(*size);
  }
  return sizes;
}

std::uint64_t allocation_granularity() {
  return PageSize::base().bytes();
}

}  // namespace engram::mapping
