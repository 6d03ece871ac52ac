// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// Members of the kernel's structures by what they hold, for builds that the table does not know. A
// place is taken if it is the only one that holds what the member must, in all processes; any other
// member stays unknown.

#include <fmt/core.h>

#include <algorithm>
#include <functional>
#include <unordered_set>
#include <vector>

#include "kernel/windows/kernel_values.h"
#include "kernel/windows/structures.h"
#include "kernel/windows/structures_known.h"
#include "kernel/windows/windows_map.h"

namespace engram::kernel::windows {
namespace {

constexpr std::size_t kFewestProcesses = 3;  // of fewer, too many places hold what they should
constexpr std::size_t kMostProcesses = 4096;
constexpr std::size_t kMostThreads = 4096;
constexpr std::uint64_t kLargest = 0x1000;  // of an EPROCESS or ETHREAD: today's have 0xB80
constexpr std::uint64_t kIdStep = 4, kIdEnd = 1U << 26U;
constexpr std::uint64_t kTimeSize = 8;
constexpr std::size_t kNameSize = 15;
// 100 ns since 1601: the years 2000 and 2100.
constexpr std::uint64_t kFirstTime = 125'911'584'000'000'000, kLastTime = 157'469'184'000'000'000;

struct Object {
  VirtAddr address;
  std::vector<std::byte> bytes;  ///< fewer than kLargest if the rest cannot be read
  std::uint64_t width;           ///< of a pointer

  /// As wide as a pointer.
  [[nodiscard]] std::uint64_t word(std::uint64_t offset) const {
    if (width == sizeof(std::uint32_t)) return load<std::uint32_t>(bytes, offset).value_or(0);
    return load<std::uint64_t>(bytes, offset).value_or(0);
  }
};

Object read_object(const paging::AddressSpace& space, VirtAddr address, std::uint64_t size) {
  Object object{address, std::vector<std::byte>(static_cast<std::size_t>(size)),
                pointer_size(space.mode())};
  object.bytes.resize(space.read(address, object.bytes).count);
  return object;
}

/// Addresses of what is linked behind `head`; nothing if the list is not whole.
std::vector<VirtAddr> nodes_of(const paging::AddressSpace& space, VirtAddr head, std::size_t most) {
  std::vector<VirtAddr> nodes;
  std::unordered_set<std::uint64_t> seen{head.value};
  VirtAddr at = head;
  for (;;) {
    const auto next = space.load_pointer(at);
    const auto back = next ? space.load_pointer(*next + pointer_size(space.mode())) : next;
    if (!back || *back != at) return {};
    if (*next == head) return nodes;
    if (nodes.size() == most || !seen.insert(next->value).second) return {};
    at = *next;
    nodes.push_back(at);
  }
}

bool is_id(std::uint64_t value) {
  return value != 0 && value % kIdStep == 0 && value < kIdEnd;
}

/// A name of at most 15 bytes with nothing behind it.
bool is_name(Bytes bytes) {
  const auto end = std::find(bytes.begin(), bytes.end(), std::byte{0});
  const auto is_printable = [](std::byte one) {
    return one >= std::byte{0x20} && one != std::byte{0x7F};
  };
  const auto is_zero = [](std::byte one) { return one == std::byte{0}; };
  return end != bytes.begin() && std::all_of(bytes.begin(), end, is_printable) &&
         std::all_of(end, bytes.end(), is_zero);
}

class Finder {
 public:
  Finder(const paging::AddressSpace& space, const DebuggerData* block)
      : space_(space),
        block_(block),
        word_(pointer_size(space.mode())),
        root_at_(word_ == sizeof(std::uint32_t) ? 0x18 : 0x28) {
    const auto said = said_of(DebuggerData::kSizeEProcess);
    size_ = said && *said <= kLargest ? *said : kLargest;
  }

  Result<Structures> run(VirtAddr head);

 private:
  using Holds = std::function<bool(const Object& process, std::uint64_t offset, bool is_system)>;

  [[nodiscard]] std::optional<std::uint64_t> said_of(DebuggerData::Member member) const {
    const auto said = block_ != nullptr ? block_->get<std::uint16_t>(member) : std::nullopt;
    return said ? std::optional<std::uint64_t>(*said) : std::nullopt;
  }
  /// The only multiple of `step` at which all processes have what the member of `size` bytes holds.
  [[nodiscard]] std::optional<std::uint64_t> only_place(const Holds& holds, std::uint64_t size,
                                                        std::uint64_t step) const;
  [[nodiscard]] bool maps_kernel(std::uint64_t root, VirtAddr head) const;
  [[nodiscard]] std::optional<std::uint64_t> find_links(VirtAddr head,
                                                        const std::vector<VirtAddr>& nodes) const;
  void find_process(Structures& to) const;
  void find_threads(Structures& to);
  void find_thread_ids(Structures& to,
                       const std::vector<std::pair<Object, std::uint64_t>>& threads) const;
  [[nodiscard]] std::optional<std::uint64_t> thread_links(std::uint64_t list);
  /// False when too much was read: memory that was made up can be searched for hours.
  bool spend(std::size_t reads) {
    budget_ -= std::min(budget_, reads);
    return budget_ != 0;
  }
  void take_said(Structures& to) const;

  const paging::AddressSpace& space_;
  const DebuggerData* block_;
  std::uint64_t word_;     ///< bytes of a pointer
  std::uint64_t root_at_;  ///< DirectoryTableBase in KPROCESS, since Windows Vista
  std::uint64_t size_;
  std::size_t budget_ = 1U << 22U;
  std::vector<Object> processes_;  ///< System is the first
};

std::optional<std::uint64_t> Finder::only_place(const Holds& holds, std::uint64_t size,
                                                std::uint64_t step) const {
  std::optional<std::uint64_t> found;
  for (std::uint64_t offset = 0; offset + size <= size_; offset += step) {
    const bool all = std::all_of(processes_.begin(), processes_.end(), [&](const Object& process) {
      return holds(process, offset, &process == &processes_[0]);
    });
    if (!all) continue;
    if (found) return std::nullopt;
    found = offset;
  }
  return found;
}

bool Finder::maps_kernel(std::uint64_t root, VirtAddr head) const {
  const paging::AddressSpace other(space_.memory(), space_.mode(), PhysAddr(root), false);
  if (other.root().value == 0) return false;
  const auto here = space_.translate(head), there = other.translate(head);
  return here && there && here->physical == there->physical;
}

/// How far the links of the list of processes lie in an EPROCESS: it begins with its type, and has
/// a root of page tables that leads to the kernel.
std::optional<std::uint64_t> Finder::find_links(VirtAddr head,
                                                const std::vector<VirtAddr>& nodes) const {
  std::optional<std::uint64_t> found;
  for (std::uint64_t links = root_at_ + word_; links + 2 * word_ <= size_; links += word_) {
    const bool all = std::all_of(nodes.begin(), nodes.end(), [&](VirtAddr node) {
      const auto type = space_.load<std::uint8_t>(node - links);
      const auto root = type == kProcessType ? space_.load_pointer(node - links + root_at_)
                                             : Result<VirtAddr, paging::Fault>(VirtAddr(0));
      return root && maps_kernel(root->value, head);
    });
    if (!all) continue;
    if (found) return std::nullopt;
    found = links;
  }
  return found;
}

void Finder::find_process(Structures& to) const {
  std::unordered_set<std::uint64_t> ids;
  const auto is_own_id = [&](const Object& process, std::uint64_t at, bool is_system) {
    if (is_system) ids.clear();
    const std::uint64_t value = process.word(at);
    return is_id(value) && is_system == (value == kSystemId) && ids.insert(value).second;
  };
  to.process_id.offset = only_place(is_own_id, word_, word_);
  to.image_name.offset = only_place(
      [](const Object& process, std::uint64_t at, bool is_system) {
        const auto bytes = slice(process.bytes, at, kNameSize);
        return bytes && is_name(*bytes) && (!is_system || text_until_nul(*bytes) == "System");
      },
      kNameSize, 1);
  const auto is_time = [](const Object& process, std::uint64_t at, bool) {
    const auto value = load<std::uint64_t>(process.bytes, at);
    return value && *value >= kFirstTime && *value <= kLastTime;
  };
  to.create_time.offset = only_place(is_time, kTimeSize, kTimeSize);
  if (!to.parent_id && to.process_id) {
    bool has_child_of_system = false;
    const auto is_parent = [&](const Object& process, std::uint64_t at, bool is_system) {
      const std::uint64_t value = process.word(at);
      if (is_system) has_child_of_system = false;
      has_child_of_system |= value == kSystemId;
      if (&process == &processes_.back() && !has_child_of_system) return false;
      return is_system ? value == 0 : is_id(value) && value != process.word(*to.process_id.offset);
    };
    to.parent_id.offset = only_place(is_parent, word_, word_);
  }
}

/// The offset of the links in a thread, if every process has a list of its threads at `list`.
std::optional<std::uint64_t> Finder::thread_links(std::uint64_t list) {
  const auto owner = said_of(DebuggerData::kOffsetKThreadApcProcess);
  std::vector<std::pair<VirtAddr, VirtAddr>> nodes;  // with the process
  for (const Object& process : processes_) {
    const VirtAddr head = process.address + list;
    if (process.word(list) == head.value) continue;  // an empty list
    if (!is_kernel_address(process.word(list), word_)) return std::nullopt;
    const auto found = nodes_of(space_, head, kMostThreads);
    if (found.empty() || !spend(found.size())) return std::nullopt;
    for (const VirtAddr node : found) nodes.emplace_back(node, process.address);
  }
  std::optional<std::uint64_t> only;
  if (nodes.empty() || !owner) return only;
  for (std::uint64_t links = *owner + word_; links < kLargest; links += word_) {
    const bool fits = std::all_of(nodes.begin(), nodes.end(), [&](const auto& node) {
      const VirtAddr thread = node.first - links;
      return spend(1) && space_.load<std::uint8_t>(thread) == kThreadType &&
             space_.load_pointer(thread + *owner) == node.second;
    });
    if (!fits) continue;
    if (only) return std::nullopt;
    only = links;
  }
  return only;
}

/// KPROCESS has a list of the same threads, and comes first.
void Finder::find_threads(Structures& to) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> lists;
  for (std::uint64_t list = 0; list + 2 * word_ <= size_; list += word_) {
    if (list == to.process_links) continue;
    if (const auto links = thread_links(list)) lists.emplace_back(list, *links);
  }
  if (lists.size() != 2 || budget_ == 0) return;
  to.thread_list = lists[1].first;
  to.thread_links = lists[1].second;
  std::vector<std::pair<Object, std::uint64_t>> threads;  // with the number of the process
  for (const Object& process : processes_) {
    for (const VirtAddr node : nodes_of(space_, process.address + to.thread_list, kMostThreads)) {
      if (threads.size() == kMostThreads) break;
      threads.emplace_back(read_object(space_, node - *to.thread_links, kLargest),
                           process.word(*to.process_id.offset));
    }
  }
  find_thread_ids(to, threads);
}

/// ETHREAD.Cid: the number of the process, and one that no other thread has.
void Finder::find_thread_ids(Structures& to,
                             const std::vector<std::pair<Object, std::uint64_t>>& threads) const {
  const auto size = said_of(DebuggerData::kSizeEThread).value_or(kLargest);
  std::optional<std::uint64_t> found;
  for (std::uint64_t at = 0; at + 2 * word_ <= std::min(size, kLargest); at += word_) {
    std::unordered_set<std::uint64_t> ids;
    const bool all = std::all_of(threads.begin(), threads.end(), [&](const auto& thread) {
      const std::uint64_t id = thread.first.word(at + word_);
      return thread.first.word(at) == thread.second && is_id(id) && ids.insert(id).second;
    });
    if (!all) continue;
    if (found) return;
    found = at;
  }
  if (!found) return;
  to.thread_process_id.offset = *found;
  to.thread_id.offset = *found + word_;
}

/// What needs no search, and the names of what does.
void Finder::take_said(Structures& to) const {
  using D = DebuggerData;
  set_said(to, space_.mode().architecture, block_, {}, {});
  to.root = {"EPROCESS.DirectoryTableBase", root_at_};
  to.parent_id = {"EPROCESS.InheritedFromUniqueProcessId", said_of(D::kOffsetEprocessParentCid)};
  to.peb = {"EPROCESS.Peb", said_of(D::kOffsetEprocessPeb)};
  to.process_id.name = "EPROCESS.UniqueProcessId";
  to.image_name = {"EPROCESS.ImageFileName", std::nullopt, kNameSize};
  to.create_time.name = "EPROCESS.CreateTime";
  to.thread_process_id.name = "ETHREAD.Cid.UniqueProcess";
  to.thread_id.name = "ETHREAD.Cid.UniqueThread";
  set_pointer_size(to, word_);
}

Result<Structures> Finder::run(VirtAddr head) {
  const auto nodes = nodes_of(space_, head, kMostProcesses);
  if (nodes.size() < kFewestProcesses) {
    return fail("the list at {:#x} has {} entries, {} to {} expected", head.value, nodes.size(),
                kFewestProcesses, kMostProcesses);
  }
  const auto links = find_links(head, nodes);
  if (!links) return fail("no one place of the links makes all entries of the list processes");
  for (const VirtAddr node : nodes) {
    processes_.push_back(read_object(space_, node - *links, size_));
  }
  Structures to;
  to.process_links = *links;
  take_said(to);
  find_process(to);
  if (!to.process_id || !to.image_name) {
    return fail("no one place holds the numbers, or the names, of all {} processes", nodes.size());
  }
  find_threads(to);
  return to;
}

}  // namespace

Result<Structures> structures_by_content(const paging::AddressSpace& space,
                                         Diagnostics& diagnostics, std::uint32_t build,
                                         VirtAddr process_head, const DebuggerData* debugger_data) {
  auto found = Finder(space, debugger_data).run(process_head);
  if (!found) return found;
  found->driver_timestamp = driver_timestamp_of(space.mode().architecture, build);
  found->source = fmt::format("content: what processes hold (build {} is not in the table)", build);
  diagnostics.add(Level::info, "windows", "structures: " + found->source);
  const auto unknown = [&](bool is_known, std::string_view name) {
    if (is_known) return;
    diagnostics.add(
        Level::warning, "windows",
        fmt::format("{} is not known of build {}: --symbols FILE says it", name, build));
  };
  unknown(found->parent_id.offset.has_value(), "EPROCESS.InheritedFromUniqueProcessId");
  unknown(found->create_time.offset.has_value(), "EPROCESS.CreateTime");
  unknown(found->peb.offset.has_value(), "EPROCESS.Peb");
  unknown(found->thread_links.has_value(), "EPROCESS.ThreadListHead");
  unknown(found->thread_id.offset.has_value(), "ETHREAD.Cid");
  for (const char* name :
       {"EPROCESS.ExitTime", "EPROCESS.WoW64Process", "EPROCESS.VadRoot", "EPROCESS.ObjectTable",
        "EPROCESS.Token", "EPROCESS.SectionBaseAddress", "EPROCESS.UserDirectoryTableBase",
        "ETHREAD.StartAddress", "ETHREAD.Win32StartAddress", "ETHREAD.CreateTime"}) {
    unknown(false, name);
  }
  return found;
}

}  // namespace engram::kernel::windows
