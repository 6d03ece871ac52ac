// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the header of a Windows crash dump says about the crash, whatever its width.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/units.h"

namespace engram::image {

struct CrashException {
  std::uint32_t code = 0, flags = 0;
  std::uint64_t nested_record = 0;  ///< virtual address of the exception that this one followed
  std::uint64_t address = 0;        ///< of the instruction
  std::vector<std::uint64_t> parameters;  ///< at most 15
};

/// What a driver, or Windows itself, left in the dump behind the memory.
struct SecondaryData {
  std::string tag;         ///< GUID: who left it; "270a33fd-3da6-460d-ba89-3c1bae21e39b"
  FileOffset at;           ///< of its first byte
  std::uint64_t size = 0;  ///< bytes
};

/// Members that the writer did not fill in are empty.
struct CrashHeader {
  bool is_64_bit = true;
  std::uint32_t dump_type = 0;
  std::uint32_t machine = 0;  ///< IMAGE_FILE_MACHINE_*
  std::optional<std::uint32_t> major_version;
  std::optional<std::uint32_t> build;
  std::optional<std::uint64_t> directory_table_base;  ///< CR3 of the context, PCID included
  // Virtual addresses of kernel variables.
  std::optional<VirtAddr> pfn_database, loaded_modules, processes, debugger_data;
  std::optional<std::uint32_t> processors;
  std::optional<std::uint32_t> bugcheck_code;
  std::array<std::optional<std::uint64_t>, 4> bugcheck_parameters;
  std::optional<CrashException> exception;
  std::optional<std::string> version_user, comment;
  std::optional<std::uint64_t> required_space;        ///< bytes of the whole dump
  std::optional<std::uint64_t> system_time, up_time;  ///< 100 ns; since 1601, since boot
  std::optional<std::uint32_t> mini_dump_fields, secondary_data_state, product_type, suite_mask,
      writer_status, attributes, boot_id;
  std::optional<bool> pae;                        ///< 32-bit headers only
  std::optional<std::uint8_t> secondary_version;  ///< 64-bit headers only
  std::vector<std::byte> context;  ///< CONTEXT of the machine; empty if there is none
  std::vector<SecondaryData> secondary_data;
};

// Of CrashHeader::machine.
inline constexpr std::uint32_t kMachineI386 = 0x14C;
inline constexpr std::uint32_t kMachineAmd64 = 0x8664;
inline constexpr std::uint32_t kMachineArm64 = 0xAA64;

}  // namespace engram::image
