// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/windows/processes.h"

#include <fmt/core.h>

#include "kernel/linux/containers.h"
#include "kernel/windows/unicode.h"

namespace engram::kernel::windows {
namespace {

constexpr std::size_t kMostProcesses = 1U << 16U;
constexpr std::uint64_t kSecondsTo1970 = 11'644'473'600;
constexpr std::uint64_t kTicksPerSecond = 10'000'000;

constexpr std::size_t kLongestEnvironment = 256 * kKiB;

// PEB and RTL_USER_PROCESS_PARAMETERS, the same since Windows Vista (winternl.h, public symbols).
struct ParametersLayout {
  Field<VirtAddr> parameters, environment;
  std::uint64_t current_directory, image_path, command_line;
};

const ParametersLayout& parameters_of(bool is_64_bit) {
  static const ParametersLayout wide{{"PEB.ProcessParameters", 0x20},
                                     {"RTL_USER_PROCESS_PARAMETERS.Environment", 0x80},
                                     0x38,
                                     0x60,
                                     0x70};
  static const ParametersLayout narrow{{"PEB.ProcessParameters", 0x10, 4},
                                       {"RTL_USER_PROCESS_PARAMETERS.Environment", 0x48, 4},
                                       0x24,
                                       0x38,
                                       0x40};
  return is_64_bit ? wide : narrow;
}

/// Texts up to the empty one; what cannot be read ends the last one.
std::vector<std::string> read_texts(const paging::AddressSpace& space, VirtAddr from) {
  std::vector<std::byte> bytes(kLongestEnvironment);
  bytes.resize(space.read(from, bytes).count);
  std::vector<std::string> texts;
  for (std::size_t at = 0; at + 1 < bytes.size();) {
    std::size_t end = at;
    while (end + 1 < bytes.size() && load_unaligned<std::uint16_t>(bytes.data() + end) != 0)
      end += 2;
    if (end == at) break;
    texts.push_back(to_utf8(Bytes(bytes).subspan(at, end - at)));
    at = end + 2;
  }
  return texts;
}

Result<std::vector<VirtAddr>> walk_processes(WindowsKernel& kernel) {
  ENGRAM_TRY(const auto* at, kernel.structures());
  if (const auto& small = kernel.small_dump()) {
    if (!small->process)
      return fail("windows: the small (triage) dump does not say which process ran");
    return std::vector{*small->process};
  }
  ENGRAM_TRY(const auto head, kernel.process_head());
  return walk_list(kernel.reader(), head, at->process_links, "PsActiveProcessHead", kMostProcesses);
}

}  // namespace

std::optional<std::int64_t> unix_seconds(std::uint64_t time) {
  const std::uint64_t seconds = time / kTicksPerSecond;
  if (seconds < kSecondsTo1970) return std::nullopt;
  return static_cast<std::int64_t>(seconds - kSecondsTo1970);
}

Processes::Processes(WindowsKernel& kernel)
    : kernel_(kernel), reader_(kernel.reader()), list_(walk_processes(kernel)) {
  if (const auto at = kernel.structures()) at_ = **at;
}

Result<const std::vector<VirtAddr>*> Processes::list() const {
  if (!list_) return tl::unexpected(list_.error());
  return &*list_;
}

std::optional<std::uint64_t> Processes::create_time(VirtAddr process) const {
  const auto time = reader_.get(process, at_.create_time);
  return time && *time != 0 ? time : std::nullopt;
}

std::optional<std::uint64_t> Processes::exit_time(VirtAddr process) const {
  const auto time = reader_.get(process, at_.exit_time);
  return time && *time != 0 ? time : std::nullopt;
}

std::optional<VirtAddr> Processes::peb32(VirtAddr process) const {
  const auto found = reader_.follow(process, at_.wow64_process);
  if (!found || at_.wow64_is_peb) return found;
  return reader_.follow(*found, Field<VirtAddr>{"EWOW64PROCESS.Peb", 0});
}

std::optional<VirtAddr> Processes::token(VirtAddr process) const {
  const auto value = reader_.get(process, at_.token);
  const std::uint64_t bits = reference_bits(kernel_.space().mode().architecture);
  if (!value || (*value & ~bits) == 0) return std::nullopt;
  return VirtAddr(*value & ~bits);
}

std::optional<PhysAddr> Processes::root_of(std::optional<std::uint64_t> value) const {
  if (!value) return std::nullopt;
  constexpr std::uint64_t kRootMask = 0x000f'ffff'ffff'f000ULL;
  const auto& space = kernel_.space();
  if (space.is_of_pieces()) {  // of x86-64, without a mode that says which bits are flags
    return (*value & kRootMask) != 0 ? std::optional(PhysAddr(*value & kRootMask)) : std::nullopt;
  }
  const PhysAddr root =
      paging::AddressSpace(space.memory(), space.mode(), PhysAddr(*value), false).root();
  return root.value != 0 ? std::optional(root) : std::nullopt;
}

std::optional<PhysAddr> Processes::root(VirtAddr process) const {
  return root_of(reader_.get(process, at_.root));
}

std::optional<PhysAddr> Processes::user_root(VirtAddr process) const {
  // Without KVA shadow it is 0, or 1 for a process that opted out.
  return root_of(reader_.get(process, at_.user_root));
}

template <class Read>
auto Processes::in_parameters(VirtAddr process, Read read) const
    -> decltype(read(reader_, VirtAddr(0))) {
  const auto root = this->root(process);
  const auto block = peb(process);
  if (!root || !block) return std::nullopt;
  const paging::AddressSpace space(kernel_.space().memory(), kernel_.space().mode(), *root, false);
  const Reader reader(space, reader_.diagnostics(), reader_.is_live());
  const auto parameters = reader.follow(*block, parameters_of(kernel_.is_64_bit()).parameters);
  if (!parameters) return std::nullopt;
  return read(reader, *parameters);
}

std::optional<std::string> Processes::parameter(VirtAddr process, std::uint64_t offset,
                                                std::string_view what) const {
  return in_parameters(process, [&](const Reader& reader, VirtAddr parameters) {
    return unicode_string(reader, parameters + offset, what, kernel_.is_64_bit());
  });
}

std::optional<std::string> Processes::image_path(VirtAddr process) const {
  return parameter(process, parameters_of(kernel_.is_64_bit()).image_path,
                   "RTL_USER_PROCESS_PARAMETERS.ImagePathName");
}
std::optional<std::string> Processes::command_line(VirtAddr process) const {
  return parameter(process, parameters_of(kernel_.is_64_bit()).command_line,
                   "RTL_USER_PROCESS_PARAMETERS.CommandLine");
}
std::optional<std::string> Processes::working_directory(VirtAddr process) const {
  return parameter(process, parameters_of(kernel_.is_64_bit()).current_directory,
                   "RTL_USER_PROCESS_PARAMETERS.CurrentDirectory");
}

std::optional<std::vector<std::string>> Processes::environment(VirtAddr process) const {
  using Texts = std::vector<std::string>;
  return in_parameters(
      process, [&](const Reader& reader, VirtAddr parameters) -> std::optional<Texts> {
        const auto texts =
            reader.follow(parameters, parameters_of(kernel_.is_64_bit()).environment);
        return texts ? std::optional(read_texts(reader.space(), *texts)) : std::nullopt;
      });
}

}  // namespace engram::kernel::windows
