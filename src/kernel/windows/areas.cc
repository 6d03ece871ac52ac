// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/windows/areas.h"

#include <fmt/core.h>

#include <array>
#include <string_view>
#include <unordered_set>

#include "kernel/windows/kernel_values.h"
#include "kernel/windows/objects.h"
#include "kernel/windows/unicode.h"

namespace engram::kernel::windows {
namespace {

constexpr std::size_t kMostAreas = 1U << 20U;
constexpr std::size_t kDeepest = 128;  // a balanced tree of kMostAreas nodes has 30 levels

// Of the file that a descriptor maps.
const Field<std::uint16_t> kFileType{"FILE_OBJECT.Type", 0};
constexpr std::uint16_t kFileObject = 5;  // IO_TYPE_FILE

// Page numbers of an address of 57 bits.
constexpr std::uint64_t kHighestPage = (1ULL << 45) - 1;

constexpr unsigned rights(std::uint8_t protection) {
  return protection & 7U;
}
constexpr unsigned modifiers(std::uint8_t protection) {
  return protection >> 3U & 3U;
}

}  // namespace

bool Area::is_readable() const {
  return rights(protection) != 0 && rights(protection) != 2;
}
bool Area::is_writable() const {
  return rights(protection) >= 4;
}
bool Area::is_executable() const {
  return (rights(protection) & 2U) != 0;
}

std::string protection_name(std::uint8_t protection) {
  static constexpr std::array<std::string_view, 8> kRights{
      "PAGE_NOACCESS",  "PAGE_READONLY",  "PAGE_EXECUTE",           "PAGE_EXECUTE_READ",
      "PAGE_READWRITE", "PAGE_WRITECOPY", "PAGE_EXECUTE_READWRITE", "PAGE_EXECUTE_WRITECOPY"};
  static constexpr std::array<std::string_view, 4> kModifiers{
      "", " | PAGE_NOCACHE", " | PAGE_GUARD", " | PAGE_WRITECOMBINE"};
  if (rights(protection) == 0) return std::string(kRights[0]);
  return fmt::format("{}{}", kRights[rights(protection)], kModifiers[modifiers(protection)]);
}

std::string area_type_name(std::uint8_t type) {
  static constexpr std::array<std::string_view, 8> kNames{
      "none",        "device_physical_memory", "image_map",         "awe", "write_watch",
      "large_pages", "rotate_physical",        "large_page_section"};
  return type < kNames.size() ? std::string(kNames[type]) : fmt::format("{}", type);
}

/// In-order: nodes whose left branch is being walked are on the stack.
struct Areas::Walk {
  std::vector<VirtAddr> path;
  std::unordered_set<std::uint64_t> seen;
};

Areas::Areas(WindowsKernel& kernel) : reader_(kernel.reader()) {
  const auto structures = kernel.structures();
  if (!structures) return;
  root_ = (*structures)->vad_root;
  at_ = (*structures)->area;
}

std::optional<Area> Areas::read(VirtAddr node) const {
  auto start = reader_.get(node, at_.start);
  auto last = reader_.get(node, at_.end);
  const auto flags = reader_.get(node, at_.flags);
  if (!start || !last || !flags) return std::nullopt;
  *start |= reader_.get(node, at_.start_high).value_or(0) << 32;
  *last |= reader_.get(node, at_.end_high).value_or(0) << 32;
  if (*start > *last || *last > kHighestPage) {
    reader_.report("VadRoot", node,
                   fmt::format("a range from page {:#x} to page {:#x}", *start, *last));
    return std::nullopt;
  }
  Area area;
  area.address = node;
  area.start = VirtAddr(*start * kPageSize);
  area.end = VirtAddr((*last + 1) * kPageSize);
  area.type = *flags >> at_.type & 7U;
  area.protection = *flags >> at_.protection & 31U;
  area.is_private = (*flags >> at_.is_private & 1U) != 0;
  return area;
}

std::vector<Area> Areas::of(VirtAddr process) const {
  std::vector<Area> areas;
  Walk walk;
  auto node = reader_.follow(process, root_);
  // Before 8.1 the tree hangs in the right branch of a node that describes nothing.
  if (at_.is_avl_table && root_) node = reader_.follow(process + *root_.offset, at_.right);
  while (node || !walk.path.empty()) {
    if (node) {
      if (walk.path.size() == kDeepest || walk.seen.size() == kMostAreas ||
          !walk.seen.insert(node->value).second) {
        reader_.report("VadRoot", *node, "the tree comes back to this node, or does not end");
        node.reset();
        continue;
      }
      walk.path.push_back(*node);
      node = reader_.follow(*node, at_.left);
      continue;
    }
    const VirtAddr at = walk.path.back();
    walk.path.pop_back();
    if (auto area = read(at)) {
      area->process = process;
      areas.push_back(*area);
    }
    node = reader_.follow(at, at_.right);
  }
  return areas;
}

std::optional<std::string> Areas::file_name(const Area& area) const {
  if (area.is_private) return std::nullopt;  // a MMVAD_SHORT ends before Subsection
  const auto architecture = reader_.space().mode().architecture;
  const bool is_64_bit = pointer_size(architecture) == sizeof(std::uint64_t);
  const std::uint64_t bits = reference_bits(architecture);
  const auto subsection = reader_.follow(area.address, at_.subsection);
  const auto control =
      subsection ? reader_.pointer_at(*subsection, "SUBSECTION.ControlArea") : std::nullopt;
  const auto pointer = control ? reader_.get(*control, at_.file_pointer) : std::nullopt;
  if (!pointer || (*pointer & ~bits) == 0) return std::nullopt;
  const VirtAddr file(*pointer & ~bits);
  const auto type = reader_.get(file, kFileType);
  if (!type) return std::nullopt;
  if (*type != kFileObject) {
    reader_.report(
        "CONTROL_AREA.FilePointer", file,
        fmt::format("an object of type {}, {} (FILE_OBJECT) expected", *type, kFileObject));
    return std::nullopt;
  }
  return unicode_string(reader_, file + file_name_offset(pointer_size(architecture)),
                        "FILE_OBJECT.FileName", is_64_bit);
}

}  // namespace engram::kernel::windows
