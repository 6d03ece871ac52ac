// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// TypeDb against libbpf's own parser, the slow twin, on random types.

#include <bpf/btf.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <string>

#include "types/test_btf.h"
#include "types/type_db.h"

namespace engram::types {
namespace {

using testing::BtfWriter;

/// A valid blob of random types.
BtfWriter random_types(std::mt19937& random) {
  const auto below = [&](std::uint32_t end) {
    return std::uniform_int_distribution(0U, end - 1)(random);
  };
  BtfWriter w;
  std::vector<std::uint32_t> sizes = {0};  // by type; 0 for what no member can have
  while (w.next() < 300) {
    const TypeId any = below(w.next());
    const std::string name = "t" + std::to_string(w.next());
    switch (below(9)) {
      case 0:
        sizes.push_back(1U << below(5));
        w.integer(name, sizes.back());
        break;
      case 1:
        sizes.push_back(8);
        w.pointer(any);
        break;
      case 2:
        sizes.push_back(1U << below(4));
        w.enumeration(name, sizes.back(), below(2) != 0, {{"E", below(100)}});
        break;
      case 3:
        sizes.push_back(0);
        w.add(BTF_KIND_FWD, name, 0);
        break;
      case 4:
        sizes.push_back(8);
        w.enumeration64(name, false, {{"W", below(100)}});
        break;
      case 5:
        if (sizes[any] == 0 || sizes[any] > 10'000 || any < 5) break;
        sizes.push_back(sizes[any] * below(5));
        w.array(any, sizes.back() / sizes[any]);
        break;
      case 6:
        if (any < 5) break;
        sizes.push_back(sizes[any]);
        w.add(below(2) != 0 ? BTF_KIND_CONST : BTF_KIND_TYPEDEF, name, any);
        break;
      default: {
        std::vector<testing::TestMember> members;
        std::uint32_t size = 0;
        std::vector<std::string> names;
        for (std::uint32_t i = 0, end = below(8); i < end; ++i)
          names.push_back("m" + std::to_string(i));
        for (const std::string& member : names) {
          const TypeId type = below(w.next());
          if (sizes[type] == 0 || sizes[type] > 1000) continue;
          const bool bits = below(4) == 0;
          members.push_back({member, type, size * 8, bits ? below(8) + 1 : 0});
          size += sizes[type];
        }
        sizes.push_back(size);
        w.structure(name, size, members);
      }
    }
  }
  return w;
}

TEST(TypeDbTwin, AgreesWithLibbpfOnRandomTypes) {
  std::mt19937 random(1);
  for (int round = 0; round < 20; ++round) {
    const auto blob = random_types(random).bytes();
    const auto opened = TypeDb::from_btf(blob);
    ASSERT_TRUE(opened) << opened.error().text;
    const TypeDb& types = *opened;
    const std::unique_ptr<struct ::btf, void (*)(struct ::btf*)> twin(
        btf__new(blob.data(), static_cast<std::uint32_t>(blob.size())), btf__free);
    ASSERT_TRUE(twin);
    ASSERT_EQ(types.type_count(), btf__type_cnt(twin.get()));
    for (TypeId id = 1; id < types.type_count(); ++id) {
      const btf_type* expected = btf__type_by_id(twin.get(), id);
      ASSERT_EQ(types.name(id), btf__name_by_offset(twin.get(), expected->name_off));
      const long long size = btf__resolve_size(twin.get(), id);
      ASSERT_EQ(types.size_of(id).has_value(), size >= 0) << id;
      ASSERT_EQ(types.size_of(id).value_or(0), static_cast<std::uint64_t>(std::max(size, 0LL)));
      if (!btf_is_composite(expected)) continue;
      const auto members = types.members(id);
      ASSERT_EQ(members.size(), btf_vlen(expected));
      for (std::uint32_t i = 0; i < members.size(); ++i) {
        ASSERT_EQ(members[i].member.bit_offset, btf_member_bit_offset(expected, i));
        ASSERT_EQ(members[i].member.bit_size, btf_member_bitfield_size(expected, i));
        ASSERT_EQ(members[i].member.type, btf_members(expected)[i].type);
        ASSERT_EQ(types.find_member(id, members[i].name)->bit_offset, members[i].member.bit_offset);
      }
    }
  }
}

}  // namespace
}  // namespace engram::types
