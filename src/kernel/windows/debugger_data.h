// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// KDDEBUGGER_DATA64: the block in which the kernel tells debuggers where its variables lie, and
// where some structures have their members. It is laid out alike on all machines. Since Windows 8
// it is encoded until the machine crashes.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "kernel/windows/program_image.h"

namespace engram::kernel::windows {

class DebuggerData {
 public:
  /// Offsets of what is used of the block. Source: wdbgexts.h of the Windows SDK.
  enum Member : std::size_t {
    kKernBase = 0x18,
    kPsLoadedModuleList = 0x48,
    kPsActiveProcessHead = 0x50,
    kObpTypeObjectType = 0xA0,
    kMmPfnDatabase = 0xC0,
    kNtBuildLab = 0x208,
    kKiProcessorBlock = 0x218,
    kMmUnloadedDrivers = 0x220,
    kMmLastUnloadedDriver = 0x228,
    kOffsetKThreadTeb = 0x29A,
    kOffsetKThreadKernelStack = 0x29C,
    kOffsetKThreadInitialStack = 0x29E,
    kOffsetKThreadApcProcess = 0x2A0,
    kOffsetKThreadState = 0x2A2,
    kSizeEProcess = 0x2A8,
    kOffsetEprocessPeb = 0x2AA,
    kOffsetEprocessParentCid = 0x2AC,
    kOffsetEprocessDirectoryTableBase = 0x2AE,
    kSizePrcb = 0x2B0,
    kOffsetPrcbCurrentThread = 0x2B4,
    kOffsetPrcbProcStateContext = 0x2BC,
    kOffsetPrcbNumber = 0x2BE,
    kSizeEThread = 0x2C0,
    kOffsetPrcbProcStateSpecialReg = 0x2F2,
    kOffsetPrcbContext = 0x338,
    kOffsetKThreadStackBase = 0x344,
    kOffsetKThreadWaitReason = 0x35C,
  };

  /// The block at `address`, decoded if need be: for that the address of the kernel image must be
  /// known, and the keys need not. On 32-bit machines it is not decoded. Errors: it cannot be read,
  /// or it is none.
  static Result<DebuggerData> read(const paging::AddressSpace& space, VirtAddr address,
                                   std::optional<VirtAddr> kernel_base);
  /// Searches the kernel image, up to a few thousand places that look like the block and are not.
  static std::optional<DebuggerData> find(const paging::AddressSpace& space,
                                          const ProgramImage& kernel);

  [[nodiscard]] VirtAddr address() const { return address_; }
  [[nodiscard]] bool was_encoded() const { return was_encoded_; }
  [[nodiscard]] std::size_t size() const { return bytes_.size(); }
  /// The block, decoded.
  [[nodiscard]] Bytes bytes() const { return bytes_; }

  /// Nothing if this kernel's block ends before the member, or if it is 0.
  template <class T>
  [[nodiscard]] std::optional<T> get(Member member) const {
    const auto value = load<T>(bytes_, member);
    return value && *value != 0 ? value : std::nullopt;
  }
  /// Those of 32-bit machines are sign-extended in the block, and here they are not.
  [[nodiscard]] std::optional<VirtAddr> pointer(Member member) const {
    const auto value = get<std::uint64_t>(member);
    return value ? std::optional(VirtAddr(*value & pointer_mask_)) : std::nullopt;
  }

 private:
  DebuggerData(VirtAddr address, std::vector<std::byte> bytes, bool was_encoded,
               std::uint64_t pointer_mask)
      : address_(address),
        bytes_(std::move(bytes)),
        was_encoded_(was_encoded),
        pointer_mask_(pointer_mask) {}

  VirtAddr address_;
  std::vector<std::byte> bytes_;
  bool was_encoded_ = false;
  std::uint64_t pointer_mask_ = ~std::uint64_t{0};
};

}  // namespace engram::kernel::windows
