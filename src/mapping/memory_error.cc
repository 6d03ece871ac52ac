// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/memory_error.h"

#include <fmt/format.h>

#include <system_error>

namespace engram::mapping {
namespace {

std::string os_text(std::int32_t os_errno) {
  return fmt::format("{} (errno {})", std::generic_category().message(os_errno), os_errno);
}

/// What the numbers of `error` say beyond its code; empty if the code is all there is to say.
std::string detail(const MemoryError& error) {
  const std::uint64_t address = error.address;
  const std::uint64_t expected = error.expected;
  switch (error.code) {
    case MemoryErrc::none:
    case MemoryErrc::empty:
    case MemoryErrc::no_region:
    case MemoryErrc::jit_needed:
    case MemoryErrc::fixed_needs_owner:
    case MemoryErrc::must_be_adjacent:
    case MemoryErrc::attribute_mismatch:
    case MemoryErrc::backing_mismatch:
    case MemoryErrc::sealed:
    case MemoryErrc::unsupported:
      return {};
    case MemoryErrc::invalid_size:
      return fmt::format("{:#x} bytes", expected);
    case MemoryErrc::invalid_offset:
    case MemoryErrc::invalid_pointer:
    case MemoryErrc::host_address_unavailable:
    case MemoryErrc::overlap:
    case MemoryErrc::access_refused:
    case MemoryErrc::iommu_misconfigured:
      return fmt::format("at {:#x}", address);
    case MemoryErrc::source_truncated:
    case MemoryErrc::not_present:
    case MemoryErrc::unexpected_eof:
    case MemoryErrc::write_zero:
      return fmt::format("at {:#x}, {:#x} bytes expected", address, expected);
    case MemoryErrc::range_overflow:
      return fmt::format("{:#x} + {:#x} exceeds 2^64", address, expected);
    case MemoryErrc::out_of_bounds:
      return fmt::format("{:#x} is past the end", address);
    case MemoryErrc::too_big:
      return fmt::format("{} elements of {} bytes exceed the address space", expected,
                         error.completed);
    case MemoryErrc::misaligned:
    case MemoryErrc::not_page_aligned:
      return fmt::format("{:#x} is not a multiple of {:#x}", address, expected);
    case MemoryErrc::invalid_alignment:
      return fmt::format("{:#x} is not a power of two", expected);
    case MemoryErrc::partial:
      return fmt::format("{:#x} of {:#x} bytes moved, stopped at {:#x}: {}{}", error.completed,
                         expected, address, to_string(error.cause),
                         error.cause == MemoryErrc::os ? ": " + os_text(error.os_errno) : "");
    case MemoryErrc::os:
      return os_text(error.os_errno);
    case MemoryErrc::invalid_guest_address:
      return fmt::format("no region has {:#x}", address);
    case MemoryErrc::invalid_backend_address:
      return fmt::format("the range runs past the region that {:#x} lies in", address);
    case MemoryErrc::unsorted:
      return fmt::format("the region at {:#x} starts before the one in front of it", address);
    case MemoryErrc::unknown_page_size:
      return fmt::format("this host has no pages of {:#x} bytes", expected);
    case MemoryErrc::iommu_cannot_resolve:
      return fmt::format("no translation for {:#x} + {:#x}", address, expected);
    case MemoryErrc::iommu_fragmented:
      return fmt::format("{:#x} + {:#x} translates to more than one piece", address, expected);
    case MemoryErrc::bad_flags:
      return fmt::format("{:#x} means nothing", expected);
  }
  return {};
}

}  // namespace

std::string_view to_string(MemoryErrc code) {
  switch (code) {
    case MemoryErrc::none:
      return "none";
    case MemoryErrc::empty:
      return "empty";
    case MemoryErrc::invalid_size:
      return "invalid size";
    case MemoryErrc::invalid_offset:
      return "invalid offset";
    case MemoryErrc::range_overflow:
      return "range overflow";
    case MemoryErrc::out_of_bounds:
      return "out of bounds";
    case MemoryErrc::too_big:
      return "too big";
    case MemoryErrc::misaligned:
      return "misaligned";
    case MemoryErrc::not_page_aligned:
      return "not page aligned";
    case MemoryErrc::invalid_alignment:
      return "invalid alignment";
    case MemoryErrc::partial:
      return "partial";
    case MemoryErrc::source_truncated:
      return "source truncated";
    case MemoryErrc::not_present:
      return "not present";
    case MemoryErrc::os:
      return "os";
    case MemoryErrc::unexpected_eof:
      return "unexpected eof";
    case MemoryErrc::write_zero:
      return "write zero";
    case MemoryErrc::invalid_guest_address:
      return "invalid guest address";
    case MemoryErrc::invalid_backend_address:
      return "invalid backend address";
    case MemoryErrc::host_address_unavailable:
      return "host address unavailable";
    case MemoryErrc::no_region:
      return "no region";
    case MemoryErrc::overlap:
      return "overlap";
    case MemoryErrc::unsorted:
      return "unsorted";
    case MemoryErrc::access_refused:
      return "access refused";
    case MemoryErrc::invalid_pointer:
      return "invalid pointer";
    case MemoryErrc::unsupported:
      return "unsupported";
    case MemoryErrc::unknown_page_size:
      return "unknown page size";
    case MemoryErrc::jit_needed:
      return "jit needed";
    case MemoryErrc::fixed_needs_owner:
      return "fixed needs owner";
    case MemoryErrc::must_be_adjacent:
      return "must be adjacent";
    case MemoryErrc::attribute_mismatch:
      return "attribute mismatch";
    case MemoryErrc::backing_mismatch:
      return "backing mismatch";
    case MemoryErrc::sealed:
      return "sealed";
    case MemoryErrc::iommu_cannot_resolve:
      return "iommu cannot resolve";
    case MemoryErrc::iommu_fragmented:
      return "iommu fragmented";
    case MemoryErrc::iommu_misconfigured:
      return "iommu misconfigured";
    case MemoryErrc::bad_flags:
      return "bad flags";
  }
  return "unknown";
}

std::string to_string(const MemoryError& error) {
  std::string text(to_string(error.code));
  if (const std::string more = detail(error); !more.empty()) text += ": " + more;
  return text;
}

Error to_error(std::string_view what, const MemoryError& error) {
  return Error{fmt::format("{}: {}", what, to_string(error))};
}

}  // namespace engram::mapping
