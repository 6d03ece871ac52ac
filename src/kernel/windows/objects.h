// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Objects of the object manager of Windows: what they are and what they are called.

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "kernel/windows/windows_kernel.h"

namespace engram::kernel::windows {

/// Bytes of the OBJECT_HEADER before an object, where pointers have so many.
[[nodiscard]] constexpr std::uint64_t object_header_size(std::uint64_t pointer_size) {
  return pointer_size == sizeof(std::uint64_t) ? 0x30 : 0x18;
}

/// FILE_OBJECT.FileName, the same in all public symbols since Windows 7.
[[nodiscard]] constexpr std::uint64_t file_name_offset(std::uint64_t pointer_size) {
  return pointer_size == sizeof(std::uint64_t) ? 0x58 : 0x30;
}

struct ObjectOffsets;  // objects.cc

/// An OBJECT_TYPE.
struct ObjectType {
  VirtAddr address;
  std::string name;  ///< "Process", "File", "Key" ...
};

class Objects {
 public:
  /// Finds the types: in ObTypeIndexTable if symbols say where that is, else on the list of the
  /// type of types, whose address KDBG has. Since Windows 10 the number of an object's type is
  /// encoded: the key is ObHeaderCookie, else the one under which every process is a process.
  explicit Objects(WindowsKernel& kernel);

  // Nothing: it is not known or cannot be read (one diagnostics row), or there is none.

  [[nodiscard]] const ObjectType* type_of(VirtAddr object) const;
  /// What people know the object by: of a file its device and name, of a registry key its path, of
  /// a process the name of its program, of any other its path in the tree of objects.
  [[nodiscard]] std::optional<std::string> name_of(VirtAddr object) const;
  /// The path of a named object in the tree of objects: "\\Device\\HarddiskVolume1".
  [[nodiscard]] std::optional<std::string> path_of(VirtAddr object) const;

 private:
  [[nodiscard]] bool is_64_bit() const { return kernel_.is_64_bit(); }
  [[nodiscard]] VirtAddr header_of(VirtAddr object) const;
  void take_type(VirtAddr type);
  void find_types();
  void find_cookie();
  [[nodiscard]] std::optional<unsigned> process_type() const;
  [[nodiscard]] std::optional<std::uint8_t> stored_type(VirtAddr object) const;
  [[nodiscard]] std::optional<VirtAddr> name_info(VirtAddr object) const;
  [[nodiscard]] std::optional<std::string> file_name(VirtAddr file) const;
  [[nodiscard]] std::optional<std::string> key_path(VirtAddr key) const;
  [[nodiscard]] std::optional<std::string> key_name(VirtAddr block) const;

  WindowsKernel& kernel_;
  const Reader& reader_;
  const ObjectOffsets& offsets_;
  ObjectLayout at_;
  std::array<std::optional<ObjectType>, 256> types_;  ///< by OBJECT_TYPE.Index
  std::optional<std::uint8_t> cookie_;                ///< 0 if there is none
};

}  // namespace engram::kernel::windows
