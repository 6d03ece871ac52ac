// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/memory_map.h"

#include <fmt/core.h>

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "kernel/linux/file_table.h"
#include "kernel/linux/linux_kernel.h"
#include "kernel/linux/live_walk.h"

namespace engram::kernel {
namespace {

constexpr std::size_t kAreaLimit = 1U << 22U;  // of one process; vm.max_map_count is 65,530
constexpr std::size_t kNameLimit = 256;  // names of special mappings; ANON_VMA_NAME_MAX_LEN is 80
constexpr unsigned kPageShift = 12;

}  // namespace

MemoryMaps::MemoryMaps(LinuxKernel& kernel) : kernel_(kernel), reader_(kernel.reader()) {
  auto& diagnostics = reader_.diagnostics();
  const auto& types = kernel.types();
  const Layout mm(types, diagnostics, "mm_struct");
  const Layout area(types, diagnostics, "vm_area_struct");
  // d4af56c5c7c6 and 763ecb035029, 6.1: a maple tree instead of a list and a red-black tree.
  if (const auto tree = types.find_member("mm_struct", "mm_mt")) {
    tree_ = tree->byte_offset();
    maple_.emplace(types, diagnostics);
  } else {
    first_ = mm.field<VirtAddr>("mmap");
    next_ = area.field<VirtAddr>("vm_next");
    red_black_root_ = mm.field<VirtAddr>("mm_rb.rb_node");
    red_black_node_ = area.offset_of("vm_rb");
    const Layout node(types, diagnostics, "rb_node");
    left_ = node.field<VirtAddr>("rb_left");
    right_ = node.field<VirtAddr>("rb_right");
  }
  count_ = mm.field<std::uint32_t>("map_count");
  break_start_ = mm.field<VirtAddr>("start_brk");
  break_ = mm.field<VirtAddr>("brk");
  stack_start_ = mm.field<VirtAddr>("start_stack");

  start_ = area.field<VirtAddr>("vm_start");
  end_ = area.field<VirtAddr>("vm_end");
  memory_ = area.field<VirtAddr>("vm_mm");
  flags_ = area.first_of<std::uint64_t>({"vm_flags", "flags"});
  page_offset_ = area.field<std::uint64_t>("vm_pgoff");
  file_ = area.field<VirtAddr>("vm_file");
  operations_ = area.field<VirtAddr>("vm_ops");
  private_data_ = area.field<VirtAddr>("vm_private_data");
  name_function_ = Layout(types, diagnostics, "vm_operations_struct").field<VirtAddr>("name");
  special_name_ = Layout(types, diagnostics, "vm_special_mapping").field<VirtAddr>("name");
  special_mapping_name_ = kernel.symbols().address_of("special_mapping_name");

  // 9a10064f5625, 5.17, CONFIG_ANON_VMA_NAME. Up to 6.1 the name lies where an area with a file has
  // its place in the file's tree; d09e8ca6cb93, 6.2, gives shared memory names, too.
  anonymous_name_ = area.optional_field<VirtAddr>("anon_name");
  if (anonymous_name_) {
    name_text_ = Layout(types, diagnostics, "anon_vma_name").offset_of("name");
    const auto shared = types.find_member("vm_area_struct", "shared");
    files_have_names_ = shared && shared->byte_offset() != *anonymous_name_.offset;
  }

  const Layout file(types, diagnostics, "file");
  file_inode_ = file.field<VirtAddr>("f_inode");
  file_mode_ = file.field<std::uint32_t>("f_mode");
  // def3ae83da02, 6.7: f_path is that of the file below, user_path what was opened.
  if (const auto path = types.find_member("backing_file", "user_path")) {
    user_path_ = path->byte_offset();
    // FMODE_BACKING of include/linux/fs.h made room for FMODE_NONOTIFY in 6.14, whose struct
    // file_range came with it.
    backing_flag_ = types.find_struct("file_range") ? 1U << 24U : 1U << 25U;
  }
  dentry_inode_ = Layout(types, diagnostics, "dentry").field<VirtAddr>("d_inode");
  const Layout inode(types, diagnostics, "inode");
  super_block_ = inode.field<VirtAddr>("i_sb");
  inode_number_ = inode.field<std::uint64_t>("i_ino");
  device_ = Layout(types, diagnostics, "super_block").field<std::uint32_t>("s_dev");
  // 11250fd12eb8, 6.6: an area that only touches the heap is not the heap. The same release renamed
  // inode.i_ctime (13bc24457850), which is how it is told.
  heap_may_touch_ = types.find_member("inode", "i_ctime").has_value();
  find_memory();
}

void MemoryMaps::find_memory() {
  const auto& tasks = kernel_.tasks();
  std::unordered_set<std::uint64_t> seen;
  for (const auto& task : tasks.of_both_sources()) {
    const auto mm = tasks.mm(task.address);
    if (!mm || seen.count(mm->value) != 0) continue;
    seen.insert(mm->value);
    const auto leader = tasks.leader(task.address).value_or(task.address);
    all_.push_back({*mm, leader, tasks.tgid(task.address)});
  }
}

std::vector<MemoryArea> MemoryMaps::areas(VirtAddr mm) const {
  if (reader_.is_live()) {
    auto walked = until_whole<MemoryArea>([&] {
      Try<MemoryArea> attempt;
      attempt.is_whole = collect(reader_.quiet(), mm, attempt.found);
      return attempt;
    });
    report_walk(reader_, "mm_struct", mm, walked.settled, walked.tries);
    if (walked.settled != Settled::still) {
      std::sort(walked.found.begin(), walked.found.end(),
                [](const auto& a, const auto& b) { return a.start < b.start; });
      return std::move(walked.found);
    }
  }
  std::vector<MemoryArea> areas;
  collect(reader_, mm, areas);
  return areas;
}

/// False if something was passed over, or if the kernel counted another number of areas.
bool MemoryMaps::collect(const Reader& reader, VirtAddr mm, std::vector<MemoryArea>& areas) const {
  bool is_good = tree_ ? collect_tree(reader, mm, areas) : collect_list(reader, mm, areas);
  const auto count = reader.get(mm, count_);
  // The red-black tree has what a list that is cut, or that somebody took an area off, lacks.
  if (!tree_ && (!is_good || count != areas.size())) {
    const std::size_t listed = areas.size();
    is_good = collect_red_black(reader, mm, areas) && is_good && areas.size() == listed;
    if (areas.size() != listed) {
      reader.report(
          red_black_root_.name, mm,
          fmt::format("{} mappings are in the tree, but not on the list", areas.size() - listed));
    }
  }
  if (!count || *count == areas.size()) return is_good && count;
  reader.report(count_.name, mm,
                fmt::format("{} mappings found, {} expected", areas.size(), *count));
  return false;
}

bool MemoryMaps::collect_tree(const Reader& reader, VirtAddr mm,
                              std::vector<MemoryArea>& areas) const {
  bool is_good = true;
  const auto add = [&](const MapleEntry& entry) {
    const auto owner = reader.get(entry.value, memory_);
    if (owner && *owner != mm) {
      reader.report(memory_.name, entry.value,
                    fmt::format("0x{:x}, 0x{:x} expected: no mapping of this process", owner->value,
                                mm.value));
    }
    is_good = is_good && owner == mm;
    // What cannot be read is still mapped, as the tree says: the row has no more than that.
    const bool fits = areas.size() < kAreaLimit && entry.last != ~std::uint64_t{0};
    if (fits && (!owner || *owner == mm)) {
      areas.push_back({entry.value, mm, VirtAddr(entry.first), VirtAddr(entry.last + 1)});
    }
    return areas.size() < kAreaLimit;
  };
  return maple_->walk(reader, mm + *tree_, "mm_struct.mm_mt", add) && is_good;
}

/// The area, if it is one of this memory.
std::optional<MemoryArea> MemoryMaps::area_at(const Reader& reader, VirtAddr mm,
                                              VirtAddr address) const {
  const auto owner = reader.get(address, memory_);
  const auto start = reader.get(address, start_), end = reader.get(address, end_);
  if (!owner || !start || !end) return std::nullopt;
  if (*owner != mm || *start >= *end) {
    reader.report("vm_area_struct", address,
                  fmt::format("0x{:x} to 0x{:x} of mm_struct 0x{:x}: no mapping of 0x{:x}",
                              start->value, end->value, owner->value, mm.value));
    return std::nullopt;
  }
  return MemoryArea{address, mm, *start, *end};
}

bool MemoryMaps::collect_list(const Reader& reader, VirtAddr mm,
                              std::vector<MemoryArea>& areas) const {
  auto address = reader.get(mm, first_);
  while (address && *address) {
    const auto area = area_at(reader, mm, *address);
    if (!area) return false;
    // The list is in address order, so that one that comes back does not go on for ever.
    if (areas.size() == kAreaLimit || (!areas.empty() && area->start < areas.back().end)) {
      reader.report(next_.name, *address,
                    fmt::format("a mapping at 0x{:x} behind one that ends at 0x{:x}",
                                area->start.value, areas.back().end.value));
      return false;
    }
    areas.push_back(*area);
    address = reader.get(*address, next_);
  }
  return address.has_value();
}

/// Adds what is missing in `areas`, which stay in address order.
bool MemoryMaps::collect_red_black(const Reader& reader, VirtAddr mm,
                                   std::vector<MemoryArea>& areas) const {
  const auto root = reader.get(mm, red_black_root_);
  if (!root || !red_black_node_) return false;
  std::unordered_set<std::uint64_t> seen, known;
  for (const auto& area : areas) known.insert(area.address.value);
  bool is_good = true;
  std::vector<VirtAddr> nodes{*root};
  while (!nodes.empty() && seen.size() < kAreaLimit) {
    const VirtAddr node = nodes.back();
    nodes.pop_back();
    if (!node || !seen.insert(node.value).second) continue;
    const auto area = area_at(reader, mm, node - *red_black_node_);
    const auto left = reader.get(node, left_), right = reader.get(node, right_);
    is_good = is_good && area && left && right;
    if (!area) continue;  // what is no area leads nowhere
    if (known.insert(area->address.value).second) areas.push_back(*area);
    nodes.push_back(left.value_or(VirtAddr(0)));
    nodes.push_back(right.value_or(VirtAddr(0)));
  }
  std::sort(areas.begin(), areas.end(),
            [](const auto& a, const auto& b) { return a.start < b.start; });
  return is_good;
}

std::optional<std::uint64_t> MemoryMaps::file_offset(const MemoryArea& area) const {
  const auto pages = file(area) ? reader_.get(area.address, page_offset_) : std::nullopt;
  return pages ? std::optional(*pages << kPageShift) : std::nullopt;
}

/// The struct path by which a file of a stacked file system was opened.
std::optional<VirtAddr> MemoryMaps::user_path(VirtAddr file) const {
  if (!user_path_) return std::nullopt;
  const auto mode = reader_.get(file, file_mode_);
  return mode && (*mode & backing_flag_) != 0 ? std::optional(file + *user_path_) : std::nullopt;
}

std::optional<std::string> MemoryMaps::file_path(const MemoryArea& area) const {
  const auto mapped = file(area);
  if (!mapped) return std::nullopt;
  const auto path = user_path(*mapped);
  return path ? kernel_.paths().text_at(*path) : kernel_.paths().of_file(*mapped);
}

// file_user_inode() of fs/proc/task_mmu.c.
std::optional<VirtAddr> MemoryMaps::inode(const MemoryArea& area) const {
  const auto mapped = file(area);
  if (!mapped) return std::nullopt;
  const auto path = user_path(*mapped);
  if (!path) return reader_.follow(*mapped, file_inode_);
  const auto place = kernel_.paths().at(*path);
  return place ? reader_.follow(place->dentry, dentry_inode_) : std::nullopt;
}

std::optional<VirtAddr> MemoryMaps::cached_inode(const MemoryArea& area) const {
  const auto mapped = file(area);
  return mapped ? kernel_.file_tables().cached_inode(*mapped) : std::nullopt;
}

std::optional<std::uint64_t> MemoryMaps::inode_number(const MemoryArea& area) const {
  const auto node = inode(area);
  return node ? reader_.get(*node, inode_number_) : std::nullopt;
}

std::optional<std::string> MemoryMaps::device(const MemoryArea& area) const {
  constexpr unsigned kMinorBits = 20;  // include/linux/kdev_t.h
  const auto node = inode(area);
  const auto super_block = node ? reader_.follow(*node, super_block_) : std::nullopt;
  const auto device = super_block ? reader_.get(*super_block, device_) : std::nullopt;
  if (!device) return std::nullopt;
  return fmt::format("{:02x}:{:02x}", *device >> kMinorBits, *device & ((1U << kMinorBits) - 1));
}

// get_vma_name() of fs/proc/task_mmu.c.
std::optional<std::string> MemoryMaps::name(const MemoryArea& area) const {
  const auto mapped = reader_.get(area.address, file_);
  if (!mapped) return std::nullopt;
  if (*mapped) {
    const auto given = files_have_names_ ? given_name(area) : std::nullopt;
    return given ? "[anon_shmem:" + *given + "]" : file_path(area);
  }
  if (auto special = special_name(area)) return special;
  if (is_heap(area)) return "[heap]";
  if (is_stack(area)) return "[stack]";
  const auto given = given_name(area);
  return given ? std::optional("[anon:" + *given + "]") : std::nullopt;
}

/// What the process called it: prctl(PR_SET_VMA).
std::optional<std::string> MemoryMaps::given_name(const MemoryArea& area) const {
  const auto name = reader_.follow(area.address, anonymous_name_);
  if (!name || !name_text_) return std::nullopt;
  return reader_.text_at(*name + *name_text_, kNameLimit, anonymous_name_.name);
}

/// What the kernel maps into every process: [vdso], [vvar], [uprobes] ... (mm/mmap.c).
std::optional<std::string> MemoryMaps::special_name(const MemoryArea& area) const {
  const auto operations = reader_.follow(area.address, operations_);
  const auto function = operations ? reader_.follow(*operations, name_function_) : std::nullopt;
  if (!function || function != special_mapping_name_) return std::nullopt;
  const auto mapping = reader_.follow(area.address, private_data_);
  const auto text = mapping ? reader_.follow(*mapping, special_name_) : std::nullopt;
  return text ? reader_.text_at(*text, kNameLimit, special_name_.name) : std::nullopt;
}

bool MemoryMaps::is_heap(const MemoryArea& area) const {
  const auto start = reader_.get(area.mm, break_start_), end = reader_.get(area.mm, break_);
  if (!start || !end) return false;
  if (heap_may_touch_) return area.start <= *end && area.end >= *start;
  return area.start < *end && area.end > *start;
}

bool MemoryMaps::is_stack(const MemoryArea& area) const {
  const auto start = reader_.get(area.mm, stack_start_);
  return start && area.start <= *start && area.end >= *start;
}

}  // namespace engram::kernel
