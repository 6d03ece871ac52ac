// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/vmware.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "image/formats.h"
#include "image/vmware_state.h"

namespace engram::image::vmware {
namespace {

/// Turns a state into Contents, with the memory's bytes at `at` of `file`.
class Reader {
 public:
  Reader(State state, const FileView& file, FileOffset at, std::uint64_t size)
      : state_(std::move(state)), file_(file), at_(at), size_(size) {
    contents_.format = "vmware";
  }

  Result<Contents> read(const char* memory) {
    if (state_.regions.empty()) add({0, 0, size_ / kPageSize});
    for (const auto& [number, region] : state_.regions) add(region);
    const auto& ranges = contents_.ranges;
    if (std::none_of(ranges.begin(), ranges.end(), [](const Range& r) { return r.readable > 0; })) {
      return fail("vmware: no byte of its {} memory regions is in {}{}{}", state_.regions.size(),
                  memory, state_.problem.empty() ? "" : "; ", state_.problem);
    }
    add_cpus();
    add_header(memory);
    say_losses();
    return std::move(contents_);
  }

 private:
  void warn(std::string text) {
    contents_.notices.push_back({Level::warning, "vmware: " + std::move(text)});
  }

  void add(const MemoryRegion& region) {
    if (region.count == 0) return;
    const std::uint64_t size = region.count * kPageSize;  // numbers of pages have 32 bits
    const auto at = at_.checked_add(region.in_file * kPageSize).value_or(FileOffset(file_.size()));
    const PhysAddr start(region.page * kPageSize);
    add_range(contents_, file_, {start, size, at, size, 0, 0});
    end_ = std::max(end_, region.in_file * kPageSize + size);
    contents_.facts.header.emplace_back(
        "region",
        fmt::format("{:#x}-{:#x} at {:#x}", start.value, (start + (size - 1)).value, at.value));
  }

  void add_cpus() {
    Facts& facts = contents_.facts;
    for (auto& [number, cpu] : state_.cpus) {
      cpu.cpu = static_cast<std::uint32_t>(facts.cpus.size());
      cpu.source = "VMware";
      facts.cpus.push_back(std::move(cpu));
    }
  }

  void add_header(const char* memory) {
    auto& header = contents_.facts.header;
    header.emplace_back("magic", fmt::format("{:#x}", state_.magic));
    header.emplace_back("state_version", fmt::format("{}", state_.version));
    header.emplace_back("memory", memory);
    header.emplace_back("groups", fmt::format("{}", fmt::join(state_.groups, ", ")));
  }

  void say_losses() {
    if (!state_.problem.empty()) warn(state_.problem + "; what comes before is used");
    if (end_ > size_) {
      warn(
          fmt::format("the memory ends at {:#x}, its regions at {:#x}: what is behind it is not "
                      "readable",
                      size_, end_));
    }
    if (size_ > end_ && size_ - end_ >= kPageSize) {
      warn(
          fmt::format("the memory has {:#x} bytes, its regions end at {:#x}: does the state belong "
                      "to it?",
                      size_, end_));
    }
  }

  State state_;
  const FileView& file_;
  FileOffset at_;
  std::uint64_t size_;     // bytes of memory in the file
  std::uint64_t end_ = 0;  // of the regions in it
  Contents contents_;
};

}  // namespace

bool sniff(Bytes head) {
  return is_state(head);
}

bool needs_memory(const FileView& state) {
  const auto read = read_state(state);
  return !read || !read->memory;
}

Result<Contents> open(FileView file) {
  ENGRAM_TRY(auto state, read_state(file));
  if (!state.memory) {
    return fail(
        "vmware: this state has no memory in it: the memory is in a .vmem file, which is not "
        "beside it under the same name; --with FILE names it{}{}",
        state.problem.empty() ? "" : "; ", state.problem);
  }
  if (state.memory->compressed) {
    return fail(
        "vmware: the memory at {:#x} is compressed, in a way that is not documented: save the "
        "machine "
        "with its memory as it is",
        state.memory->at.value);
  }
  const auto [at, size, compressed] = *state.memory;
  return Reader(std::move(state), file, at, size).read("this file");
}

Result<Contents> open_pair(const FileView& state, const FileView& memory) {
  ENGRAM_TRY(auto read, read_state(state));
  if (read.memory) {
    return fail("vmware: the state has memory of its own: it needs no other file");
  }
  return Reader(std::move(read), memory, FileOffset(0), memory.size()).read("the memory file");
}

}  // namespace engram::image::vmware
