// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "types/symbol_file.h"

#include "mapping/guarded.h"
#include "mapping/whole_file.h"
#include "types/isf_file.h"
#include "types/pdb_file.h"
#include "types/unpack.h"

namespace engram::types {
namespace {

// Of the kernels of Windows, PDB have 30 MiB and ISF 8; ISF of Linux with DWARF have 60. What JSON
// becomes in memory may be 16 times the text.
constexpr std::size_t kLargest = 128 * kMiB;

bool begins_as_json(Bytes text) {
  for (const std::byte one : text) {
    const char character = std::to_integer<char>(one);
    if (character == '{') return true;
    if (character != ' ' && character != '\n' && character != '\r' && character != '\t') break;
  }
  return false;
}

Result<SymbolFile> read(Bytes file) {
  ENGRAM_TRY(auto bytes, unpack(file, kLargest));
  if (is_pdb(bytes)) return read_pdb(bytes);
  if (begins_as_json(bytes)) return read_isf(std::move(bytes));
  return fail("neither a PDB (MSF 7.00) nor a symbol file of volatility3 (JSON, also .xz and .gz)");
}

}  // namespace

Result<SymbolFile> SymbolFile::open(const std::string& path) {
  ENGRAM_TRY(const auto mapping, mapping::map_whole_file(path));
  const Bytes mapped = mapping.unsafe_exclusive_bytes();
  if (mapped.size() > kLargest) return fail("{}: it has more than {} bytes", path, kLargest);
  // A copy: the file may be cut while it is read.
  std::vector<std::byte> bytes(mapped.size());
  bytes.resize(mapping::guarded_copy(bytes, mapped));
  auto found = read(bytes);
  if (!found) return fail("{}: {}", path, found.error().text);
  found->path = path;
  return found;
}

}  // namespace engram::types
