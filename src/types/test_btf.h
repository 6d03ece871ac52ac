// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// BTF made by hand (btf_writer.h), and a walk over everything that a TypeDb answers, for tests and
// fuzzing.

#include <linux/btf.h>

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string_view>
#include <utility>
#include <vector>

#include "types/btf_writer.h"
#include "types/type_db.h"

namespace engram::types::testing {

using BtfWriter = btf::Writer;
using TestMember = btf::WrittenMember;
using TestEnumerator = btf::WrittenEnumerator;

/// One blob with a type of every kind and most ways in which they refer to one another.
inline BtfWriter every_kind() {
  BtfWriter w;
  const TypeId integer = w.integer("int", 4);
  const TypeId byte = w.integer("char", 1);
  const TypeId pointer = w.pointer(w.next() + 3);  // the structure
  const TypeId name = w.array(byte, 16);
  const TypeId inner = w.union_type("", 4, {{"low", byte, 0}, {"all", integer, 0}});
  w.structure("node", 40,
              {{"next", pointer, 0},
               {"name", name, 64},
               {"", inner, 192},
               {"three", integer, 224, 3},
               {"five", integer, 227, 5},
               {"tail", name - 1, 256}});
  w.enumeration("color", 4, true, {{"RED", 1}, {"NONE", ~std::uint64_t{0}}});
  w.enumeration64("mask", false, {{"TOP", 1ULL << 63U}});
  w.add(BTF_KIND_FWD, "later", 0);
  const TypeId alias = w.add(BTF_KIND_TYPEDEF, "node_t", inner + 1);
  const TypeId constant = w.add(BTF_KIND_CONST, "", alias);
  const TypeId unsettled = w.add(BTF_KIND_VOLATILE, "", constant);
  const TypeId alone = w.add(BTF_KIND_RESTRICT, "", pointer);
  w.add(BTF_KIND_TYPE_TAG, "user", unsettled, 0, true);
  const TypeId prototype =
      w.add(BTF_KIND_FUNC_PROTO, "", integer, 2, false, {w.string("node"), alone, 0, 0});
  w.add(BTF_KIND_FUNC, "visit", prototype, 1);
  const TypeId variable = w.add(BTF_KIND_VAR, "root", alias, 0, false, {1});
  w.add(BTF_KIND_DATASEC, ".data", 64, 1, false, {variable, 0, 40});
  w.add(BTF_KIND_FLOAT, "double", 8);
  w.add(BTF_KIND_DECL_TAG, "kfunc", variable, 0, true, {~0U});
  return w;
}

/// Asks everything about every type from `first` on, and about some that do not exist; returns
/// something that depends on all answers.
inline std::uint64_t walk(const TypeDb& types, TypeId first = 0) {
  std::uint64_t sum = 0;
  for (TypeId type = first; type < types.type_count() + 2; ++type) {
    const std::string_view name = types.name(type);
    sum += name.size() + types.resolve(type) + types.size_of(type).value_or(0);
    sum += types.target(type).value_or(0) + types.element_count(type).value_or(0);
    sum += types.find(name, types.kind(type)).value_or(0) + types.find_struct(name).value_or(0);
    for (const Enumerator& one : types.enumerators(type)) sum += one.name.size();
    for (const NamedMember& member : types.members(type)) {
      sum += member.member.byte_offset() + member.member.bit_size;
      const std::string path = std::string(member.name) + "[1]." + std::string(member.name);
      for (std::size_t length :
           {member.name.size(), path.size() - member.name.size() - 1, path.size()}) {
        sum += types.find_member(type, std::string_view(path).substr(0, length)).has_value();
      }
    }
  }
  return sum;
}

}  // namespace engram::types::testing
