// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Files with the types and symbols of a kernel that a user has: Microsoft's PDB, volatility3's ISF.

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "types/type_db.h"

namespace engram::types {

/// What a program says of the PDB that was made with it, and a PDB of itself.
struct PdbIdentity {
  std::string name;  ///< of the file when it was made, "ntkrnlmp.pdb"; empty if it is not known
  std::string guid;  ///< 32 hexadecimal digits, upper case
  std::uint32_t age = 0;

  /// GUID and age as symbol servers write them.
  [[nodiscard]] std::string key() const { return guid + fmt::format("{:X}", age); }
};

struct SymbolFile {
  std::string path;
  std::string format;              ///< "PDB" or "ISF"
  std::optional<PdbIdentity> pdb;  ///< of Windows
  std::string banner;          ///< of Linux: what its linux_banner says; empty if it is not said
  std::vector<std::byte> btf;  ///< its types
  std::vector<std::string> notes;  ///< what of the types was left out, in words
  /// Distances of symbols from the beginning of the program; of Linux, addresses as it was linked.
  std::unordered_map<std::string, std::uint64_t> addresses;

  /// Recognised by content: PDB, or ISF (JSON), which may be compressed by xz or gzip.
  /// Errors: "PATH: ...": it cannot be read, is neither, or what is wrong in it.
  static Result<SymbolFile> open(const std::string& path);

  /// Errors: those of TypeDb::from_btf().
  [[nodiscard]] Result<TypeDb> types() const { return TypeDb::from_btf(btf); }
};

}  // namespace engram::types
