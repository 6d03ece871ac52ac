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

#include "kernel/windows/structures.h"

namespace engram::kernel::windows {
namespace {

constexpr std::size_t kFewestProcesses = 3;  // of fewer, too many places hold what they should
constexpr std::size_t kMostProcesses = 4096;
constexpr std::size_t kMostThreads = 4096;
constexpr std::uint64_t kLargest = 0x1000;  // of an EPROCESS or ETHREAD: today's have 0xB80
constexpr std::uint64_t kWord = 8;
constexpr std::uint64_t kSystemId = 4, kIdStep = 4, kIdEnd = 1U << 26U;
constexpr std::uint8_t kProcessType = 3, kThreadType = 6;  // DISPATCHER_HEADER.Type
constexpr std::uint64_t kRootAt = 0x28;                    // KPROCESS, since Windows Vista
constexpr std::uint64_t kRootMask = 0x000f'ffff'ffff'f000ULL;
constexpr std::uint64_t kFirstKernelAddress = 0xFFFF'8000'0000'0000;
constexpr std::size_t kNameSize = 15;
// 100 ns since 1601: the years 2000 and 2100.
constexpr std::uint64_t kFirstTime = 125'911'584'000'000'000, kLastTime = 157'469'184'000'000'000;

struct Object {
  VirtAddr address;
  std::vector<std::byte> bytes;  ///< fewer than kLargest if the rest cannot be read

  [[nodiscard]] std::uint64_t word(std::uint64_t offset) const {
    return load<std::uint64_t>(bytes, offset).value_or(0);
  }
};

Object read_object(const paging::AddressSpace& space, VirtAddr address, std::uint64_t size) {
  Object object{address, std::vector<std::byte>(static_cast<std::size_t>(size))};
  object.bytes.resize(space.read(address, object.bytes).count);
  return object;
}

/// Addresses of what is linked behind `head`; nothing if the list is not whole.
std::vector<VirtAddr> nodes_of(const paging::AddressSpace& space, VirtAddr head, std::size_t most) {
  std::vector<VirtAddr> nodes;
  std::unordered_set<std::uint64_t> seen{head.value};
  VirtAddr at = head;
  for (;;) {
    const auto next = space.load<std::uint64_t>(at);
    const auto back = next ? space.load<std::uint64_t>(VirtAddr(*next + kWord)) : next;
    if (!back || *back != at.value) return {};
    if (*next == head.value) return nodes;
    if (nodes.size() == most || !seen.insert(*next).second) return {};
    at = VirtAddr(*next);
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

class Search {
 public:
  Search(const paging::AddressSpace& space, const DebuggerData* block)
      : space_(space), block_(block) {
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
  /// The only multiple of `step` at which all processes have what the member holds.
  [[nodiscard]] std::optional<std::uint64_t> only_place(const Holds& holds,
                                                        std::uint64_t step = kWord) const;
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
  std::uint64_t size_;
  std::size_t budget_ = 1U << 22U;
  std::vector<Object> processes_;  ///< System is the first
};

std::optional<std::uint64_t> Search::only_place(const Holds& holds, std::uint64_t step) const {
  std::optional<std::uint64_t> found;
  for (std::uint64_t offset = 0; offset + kWord <= size_; offset += step) {
    const bool all = std::all_of(processes_.begin(), processes_.end(), [&](const Object& process) {
      return holds(process, offset, &process == &processes_[0]);
    });
    if (!all) continue;
    if (found) return std::nullopt;
    found = offset;
  }
  return found;
}

bool Search::maps_kernel(std::uint64_t root, VirtAddr head) const {
  if ((root & kRootMask) == 0) return false;
  const paging::AddressSpace other(space_.memory(), space_.mode(), PhysAddr(root & kRootMask),
                                   false);
  const auto here = space_.translate(head), there = other.translate(head);
  return here && there && here->physical == there->physical;
}

/// How far the links of the list of processes lie in an EPROCESS: it begins with its type, and has
/// a root of page tables that leads to the kernel.
std::optional<std::uint64_t> Search::find_links(VirtAddr head,
                                                const std::vector<VirtAddr>& nodes) const {
  std::optional<std::uint64_t> found;
  for (std::uint64_t links = kRootAt + kWord; links + 2 * kWord <= size_; links += kWord) {
    const bool all = std::all_of(nodes.begin(), nodes.end(), [&](VirtAddr node) {
      const auto type = space_.load<std::uint8_t>(node - links);
      const auto root = type == kProcessType ? space_.load<std::uint64_t>(node - links + kRootAt)
                                             : Result<std::uint64_t, paging::Fault>(0);
      return root && maps_kernel(*root, head);
    });
    if (!all) continue;
    if (found) return std::nullopt;
    found = links;
  }
  return found;
}

void Search::find_process(Structures& to) const {
  std::unordered_set<std::uint64_t> ids;
  to.process_id.offset = only_place([&](const Object& process, std::uint64_t at, bool is_system) {
    if (is_system) ids.clear();
    const std::uint64_t value = process.word(at);
    return is_id(value) && is_system == (value == kSystemId) && ids.insert(value).second;
  });
  to.image_name.offset = only_place(
      [](const Object& process, std::uint64_t at, bool is_system) {
        const auto bytes = slice(process.bytes, at, kNameSize);
        return bytes && is_name(*bytes) && (!is_system || text_until_nul(*bytes) == "System");
      },
      1);
  to.create_time.offset = only_place([](const Object& process, std::uint64_t at, bool) {
    return process.word(at) >= kFirstTime && process.word(at) <= kLastTime;
  });
  if (!to.parent_id && to.process_id) {
    bool has_child_of_system = false;
    to.parent_id.offset = only_place([&](const Object& process, std::uint64_t at, bool is_system) {
      const std::uint64_t value = process.word(at);
      if (is_system) has_child_of_system = false;
      has_child_of_system |= value == kSystemId;
      if (&process == &processes_.back() && !has_child_of_system) return false;
      return is_system ? value == 0 : is_id(value) && value != process.word(*to.process_id.offset);
    });
  }
}

/// The offset of the links in a thread, if every process has a list of its threads at `list`.
std::optional<std::uint64_t> Search::thread_links(std::uint64_t list) {
  const auto owner = said_of(DebuggerData::kOffsetKThreadApcProcess);
  std::vector<std::pair<VirtAddr, VirtAddr>> nodes;  // with the process
  for (const Object& process : processes_) {
    const VirtAddr head = process.address + list;
    if (process.word(list) == head.value) continue;  // an empty list
    if (process.word(list) < kFirstKernelAddress) return std::nullopt;
    const auto found = nodes_of(space_, head, kMostThreads);
    if (found.empty() || !spend(found.size())) return std::nullopt;
    for (const VirtAddr node : found) nodes.emplace_back(node, process.address);
  }
  std::optional<std::uint64_t> only;
  if (nodes.empty() || !owner) return only;
  for (std::uint64_t links = *owner + kWord; links < kLargest; links += kWord) {
    const bool fits = std::all_of(nodes.begin(), nodes.end(), [&](const auto& node) {
      const VirtAddr thread = node.first - links;
      return spend(1) && space_.load<std::uint8_t>(thread) == kThreadType &&
             space_.load<std::uint64_t>(thread + *owner) == node.second.value;
    });
    if (!fits) continue;
    if (only) return std::nullopt;
    only = links;
  }
  return only;
}

/// KPROCESS has a list of the same threads, and comes first.
void Search::find_threads(Structures& to) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> lists;
  for (std::uint64_t list = 0; list + 2 * kWord <= size_; list += kWord) {
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
void Search::find_thread_ids(Structures& to,
                             const std::vector<std::pair<Object, std::uint64_t>>& threads) const {
  const auto size = said_of(DebuggerData::kSizeEThread).value_or(kLargest);
  std::optional<std::uint64_t> found;
  for (std::uint64_t at = 0; at + 2 * kWord <= std::min(size, kLargest); at += kWord) {
    std::unordered_set<std::uint64_t> ids;
    const bool all = std::all_of(threads.begin(), threads.end(), [&](const auto& thread) {
      const std::uint64_t id = thread.first.word(at + kWord);
      return thread.first.word(at) == thread.second && is_id(id) && ids.insert(id).second;
    });
    if (!all) continue;
    if (found) return;
    found = at;
  }
  if (!found) return;
  to.thread_process_id.offset = *found;
  to.thread_id.offset = *found + kWord;
}

/// What the debugger's block names.
void Search::take_said(Structures& to) const {
  using D = DebuggerData;
  to.root = {"EPROCESS.DirectoryTableBase", kRootAt};
  to.parent_id = {"EPROCESS.InheritedFromUniqueProcessId", said_of(D::kOffsetEprocessParentCid)};
  to.peb = {"EPROCESS.Peb", said_of(D::kOffsetEprocessPeb)};
  to.teb = {"KTHREAD.Teb", said_of(D::kOffsetKThreadTeb)};
  to.stack_base = {"KTHREAD.StackBase", said_of(D::kOffsetKThreadStackBase)};
  to.kernel_stack = {"KTHREAD.KernelStack", said_of(D::kOffsetKThreadKernelStack)};
  to.initial_stack = {"KTHREAD.InitialStack", said_of(D::kOffsetKThreadInitialStack)};
  to.thread_state = {"KTHREAD.State", said_of(D::kOffsetKThreadState)};
  to.wait_reason = {"KTHREAD.WaitReason", said_of(D::kOffsetKThreadWaitReason)};
  to.current_thread = {"KPRCB.CurrentThread", said_of(D::kOffsetPrcbCurrentThread)};
  to.context = {"KPRCB.Context", said_of(D::kOffsetPrcbContext)};
  to.processor_number = {"KPRCB.Number", said_of(D::kOffsetPrcbNumber)};
  to.processor_context = said_of(D::kOffsetPrcbProcStateContext);
  to.special_registers = said_of(D::kOffsetPrcbProcStateSpecialReg);
  // Those that are looked for.
  to.process_id.name = "EPROCESS.UniqueProcessId";
  to.image_name = {"EPROCESS.ImageFileName", std::nullopt, kNameSize};
  to.create_time.name = "EPROCESS.CreateTime";
  to.thread_process_id.name = "ETHREAD.Cid.UniqueProcess";
  to.thread_id.name = "ETHREAD.Cid.UniqueThread";
}

Result<Structures> Search::run(VirtAddr head) {
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
  auto found = Search(space, debugger_data).run(process_head);
  if (!found) return found;
  found->driver_timestamp = driver_timestamp_of(build);
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
