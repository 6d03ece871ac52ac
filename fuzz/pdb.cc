// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// Files of symbols of arbitrary content: what is accepted has types that answer every question.
//
// Input: a PDB, or the text of an ISF; and as the stream of types of a small PDB.

#include <cstdlib>

#include "types/isf_file.h"
#include "types/pdb_file.h"
#include "types/test_btf.h"
#include "types/test_pdb.h"

namespace {

using namespace engram;

void check(const Result<types::SymbolFile>& file) {
  if (!file) return;
  if (const auto types = file->types()) types::testing::walk(*types);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes bytes = std::as_bytes(std::span(data, size));
  if (types::is_pdb(bytes)) check(types::read_pdb(bytes));
  check(types::read_isf({bytes.begin(), bytes.end()}));
  static const std::vector<types::testing::PdbBytes> streams = types::testing::pdb_streams();
  auto changed = streams;
  changed[2].assign(bytes.begin(), bytes.end());
  check(types::read_pdb(types::testing::pdb_container(changed)));
  return 0;
}
