// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/vmware_state.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "image/contents.h"
#include "image/vmware_layout.h"

namespace engram::image::vmware {
namespace {

constexpr std::uint32_t kMostGroups = 4096;
constexpr std::uint64_t kMostTags = std::uint64_t{1} << 20U;  // of a group
constexpr std::uint32_t kMostRegions = 4096;
constexpr std::uint32_t kMostCpus = 8192;

/// What stands in a tag.
struct Tag {
  std::string name;
  std::array<std::uint32_t, 3> index = {};
  unsigned indices = 0;
  bool is_block = false, is_compressed = false;
  FileOffset at;           // of the value, or of the block's bytes
  std::uint64_t size = 0;  // of these
};

/// Reads tag after tag.
class Tags {
 public:
  Tags(const FileView& file, FileOffset at, bool has_wide_blocks)
      : file_(file), at_(at), has_wide_blocks_(has_wide_blocks) {}

  /// False at the end of the group, and at a tag that is damaged: problem() says which.
  bool next(Tag& tag) {
    begin_ = at_;
    std::uint16_t head = 0;
    if (++seen_ > kMostTags) return stop(fmt::format("more than {} tags", kMostTags));
    if (!take(head)) return stop("the file ends");
    if (head == 0) return false;
    const unsigned value = head & ((1U << kValueBits) - 1);
    tag.indices = (head >> kValueBits) & ((1U << kIndexBits) - 1);
    tag.is_compressed = value == kCompressedBlock;
    tag.is_block = value == kBlock || tag.is_compressed;
    const auto name = file_.copy(at_, static_cast<std::uint64_t>(head >> 8U));
    if (name.size() < (head >> 8U)) return stop("the file ends");
    tag.name = printable(name);
    at_ = at_ + name.size();
    for (unsigned i = 0; i < tag.indices; ++i) {
      if (!take(tag.index.at(i))) return stop("the file ends");
    }
    if (tag.is_block) return read_block(tag);
    tag.at = at_;
    tag.size = value;
    at_ = at_ + value;
    return true;
  }

  [[nodiscard]] const std::string& problem() const { return problem_; }

 private:
  bool stop(std::string why) {
    problem_ = fmt::format("tag at {:#x}: {}", begin_.value, why);
    return false;
  }
  template <class T>
  bool take(T& value) {
    const auto found = file_.load<T>(at_);
    if (!found) return false;
    value = *found;
    at_ = at_ + sizeof value;
    return true;
  }
  bool take_size(std::uint64_t& size) {
    if (has_wide_blocks_) return take(size);
    std::uint32_t narrow = 0;
    if (!take(narrow)) return false;
    size = narrow;
    return true;
  }
  bool read_block(Tag& tag) {
    std::uint64_t in_memory = 0;
    std::uint16_t padding = 0;
    if (!take_size(tag.size) || !take_size(in_memory) || !take(padding)) {
      return stop("the file ends");
    }
    tag.at = at_ + padding;
    const auto end = tag.at.checked_add(tag.size);
    if (!end) return stop(fmt::format("a block of {:#x} bytes", tag.size));
    at_ = *end;
    return true;
  }

  const FileView& file_;
  FileOffset at_;
  FileOffset begin_;  // of the tag
  bool has_wide_blocks_;
  std::uint64_t seen_ = 0;
  std::string problem_;
};

/// A number of up to eight bytes.
std::uint64_t value_of(const FileView& file, const Tag& tag) {
  const auto bytes = file.copy(tag.at, std::min<std::uint64_t>(tag.size, 8));
  std::uint64_t value = 0;
  std::copy(bytes.begin(), bytes.end(), reinterpret_cast<std::byte*>(&value));
  return value;
}

void add_memory_tag(const FileView& file, const Tag& tag, State& state) {
  if (tag.name == "Memory" && tag.is_block) {
    if (!state.memory) state.memory = {tag.at, tag.size, tag.is_compressed};
    return;
  }
  if (tag.is_block || tag.indices != 1 || tag.index[0] >= kMostRegions) return;
  // Page numbers have 32 bits.
  const std::uint64_t value = value_of(file, tag) & 0xFFFFFFFFU;
  if (tag.name == "regionPPN") state.regions[tag.index[0]].page = value;
  if (tag.name == "regionPageNum") state.regions[tag.index[0]].in_file = value;
  if (tag.name == "regionSize") state.regions[tag.index[0]].count = value;
}

void set_control(CpuRegisters::Control& control, std::uint32_t number, std::uint64_t value) {
  if (number == 0) control.cr0 = value;
  if (number == 2) control.cr2 = value;
  if (number == 3) control.cr3 = value;
  if (number == 4) control.cr4 = value;
}

void add_cpu_tag(const FileView& file, const Tag& tag, State& state) {
  if (tag.indices == 0 || tag.index[0] >= kMostCpus) return;
  const bool is_control = tag.name == "CR64";
  if (!is_control && tag.name != "rip" && tag.name != "rsp" && tag.name != "eflags") return;
  CpuRegisters& cpu = state.cpus[tag.index[0]];
  if (!is_control) {
    const std::uint64_t value = value_of(file, tag);
    (tag.name == "rip" ? cpu.rip : tag.name == "rsp" ? cpu.rsp : cpu.rflags) = value;
    return;
  }
  if (!cpu.control) cpu.control.emplace();
  if (!tag.is_block) {
    if (tag.indices == 2) set_control(*cpu.control, tag.index[1], value_of(file, tag));
    return;
  }
  for (std::uint32_t i = 0; i < 5 && (i + 1) * 8 <= tag.size; ++i) {  // CR0, CR1 ... as one block
    set_control(*cpu.control, i, file.load<std::uint64_t>(tag.at + i * 8).value_or(0));
  }
}

}  // namespace

bool is_state(Bytes head) {
  const auto magic = load<std::uint32_t>(head, 0);
  return magic && std::find(kMagics.begin(), kMagics.end(), *magic) != kMagics.end();
}

Result<State> read_state(const FileView& file) {
  const auto header = file.load<Header>(FileOffset(0));
  if (!header) return fail("vmware: the file ends inside its header");
  if (header->groups == 0 || header->groups > kMostGroups) {
    return fail("vmware: {} groups, 1 to {} are expected", std::uint32_t{header->groups},
                kMostGroups);
  }
  State state;
  state.magic = header->magic;
  state.version = header->version;
  const bool has_wide_blocks = (state.magic & 0xFU) != 0;
  for (std::uint32_t i = 0; i < header->groups; ++i) {
    const FileOffset at(sizeof(Header) + i * sizeof(Group));
    const auto group = file.load<Group>(at);
    if (!group) return fail("vmware: group {} at {:#x}: the file ends", i, at.value);
    const std::string name = printable(group->name);
    const bool is_new =
        std::find(state.groups.begin(), state.groups.end(), name) == state.groups.end();
    state.groups.push_back(name);
    if (!is_new || (name != "memory" && name != "cpu")) continue;
    Tags tags(file, FileOffset(group->at), has_wide_blocks);
    for (Tag tag; tags.next(tag); tag = {}) {
      (name == "memory" ? add_memory_tag : add_cpu_tag)(file, tag, state);
    }
    if (!tags.problem().empty()) state.problem = fmt::format("group {}: {}", name, tags.problem());
  }
  return state;
}

}  // namespace engram::image::vmware
