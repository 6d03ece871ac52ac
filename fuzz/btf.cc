// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// BTF of arbitrary content: what is accepted answers every question, and its answers fit together.
//
// Input: a blob, opened as a kernel's own and as that of a module of a small made-up kernel.

#include <cstdlib>

#include "types/test_btf.h"
#include "types/type_db.h"

namespace {

using namespace engram;
using types::Kind;
using types::TypeDb;
using types::TypeId;

void require(bool condition) {
  if (!condition) std::abort();
}

void check_type(const TypeDb& db, TypeId type) {
  const TypeId resolved = db.resolve(type);
  require(db.kind(resolved) != Kind::typedef_type && db.kind(resolved) != Kind::modifier);
  require(db.size_of(type) == db.size_of(resolved));
  if (!db.name(type).empty()) {
    const auto found = db.find(db.name(type), db.kind(type));
    require(found && db.name(*found) == db.name(type) && db.kind(*found) == db.kind(type));
  }
  for (const types::NamedMember& named : db.members(type)) {
    require(named.member.bit_offset + named.member.bit_size <= *db.size_of(type) * 8);
    if (!named.name.empty()) (void)db.find_member(type, named.name);
  }
}

void check(const TypeDb& db) {
  for (TypeId type = 0; type < db.type_count(); ++type) check_type(db, type);
  types::testing::walk(db);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const types::testing::BtfWriter kernel = types::testing::every_kind();
  static const TypeDb base = TypeDb::from_btf(kernel.bytes()).value();
  const Bytes blob = std::as_bytes(std::span(data, size));
  if (const auto db = TypeDb::from_btf(blob)) check(*db);
  // What a forged cache says to have been checked may be wrong, but ends.
  const TypeDb::Record forged{0, digest(blob, 0)};
  if (const auto db = TypeDb::from_known_btf({blob.begin(), blob.end()}, forged)) {
    types::testing::walk(*db);
  }
  if (const auto db = TypeDb::from_btf(blob, &base)) check(*db);
  return 0;
}
