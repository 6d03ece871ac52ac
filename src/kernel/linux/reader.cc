// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/reader.h"

#include <fmt/core.h>

#include "base/interruption.h"

namespace engram::kernel {
namespace {

constexpr std::string_view kNeverNull = "NULL, where the kernel always has an object";

/// A number of a size that is no power of two.
Result<std::uint64_t, paging::Fault> load_bytes(const paging::AddressSpace& space, VirtAddr from,
                                                std::uint64_t size) {
  std::uint64_t value = 0;
  const auto bytes = std::as_writable_bytes(std::span(&value, 1));
  ENGRAM_CHECK(space.read_exact(from, bytes.first(static_cast<std::size_t>(size))));
  return value;
}

}  // namespace

std::optional<std::uint64_t> Reader::scalar(VirtAddr object, std::uint64_t offset,
                                            std::uint64_t size, bool is_signed,
                                            std::string_view name) const {
  end_if_interrupted();
  const VirtAddr at = object + offset;
  auto read = Result<std::uint64_t, paging::Fault>(0);
  switch (size) {
    case 8:
      read = space_.load<std::uint64_t>(at);
      break;
    case 4:
      read = space_.load<std::uint32_t>(at);
      break;
    case 2:
      read = space_.load<std::uint16_t>(at);
      break;
    case 1:
      read = space_.load<std::uint8_t>(at);
      break;
    default:
      read = load_bytes(space_, at, size);
  }
  if (!read) {
    report(name, object, paging::to_string(read.error()));
    return std::nullopt;
  }
  std::uint64_t value = *read;
  const unsigned unused_bits = 64 - 8 * static_cast<unsigned>(size);
  if (is_signed && unused_bits != 0) {
    value =
        static_cast<std::uint64_t>(static_cast<std::int64_t>(value << unused_bits) >> unused_bits);
  }
  return value;
}

std::optional<VirtAddr> Reader::require(VirtAddr object, const Field<VirtAddr>& field) const {
  const auto pointer = get(object, field);
  if (!pointer || *pointer) return pointer;
  report(field.name, object, kNeverNull);
  return std::nullopt;
}

std::optional<std::string> Reader::text(VirtAddr object, const TextField& field) const {
  if (!object || !field) return std::nullopt;
  end_if_interrupted();
  std::string buffer(static_cast<std::size_t>(field.size), '\0');
  const auto bytes = std::as_writable_bytes(std::span(buffer.data(), buffer.size()));
  if (const auto read = space_.read_exact(object + *field.offset, bytes); !read) {
    report(field.name, object, paging::to_string(read.error()));
    return std::nullopt;
  }
  buffer.resize(text_until_nul(bytes).size());
  return buffer;
}

std::optional<std::string> Reader::text_at(VirtAddr address, std::size_t limit,
                                           std::string_view what) const {
  if (!address) return std::nullopt;
  end_if_interrupted();
  auto text = space_.load_text(address, limit);
  if (!text) {
    report(what, address, paging::to_string(text.error()));
    return std::nullopt;
  }
  return std::move(*text);
}

std::optional<VirtAddr> Reader::pointer_at(VirtAddr address, std::string_view what) const {
  end_if_interrupted();
  const auto pointer = space_.load_pointer(address, pointer_size_);
  if (!pointer) {
    report(what, address, paging::to_string(pointer.error()));
    return std::nullopt;
  }
  return *pointer;
}

std::optional<VirtAddr> Reader::require_at(VirtAddr address, std::string_view what) const {
  const auto pointer = pointer_at(address, what);
  if (!pointer || *pointer) return pointer;
  report(what, address, kNeverNull);
  return std::nullopt;
}

void Reader::report(std::string_view what, VirtAddr object, std::string_view reason) const {
  if (is_quiet_) return;
  diagnostics_.add(Level::warning, std::string(what), std::string(reason), object.value);
}

}  // namespace engram::kernel
