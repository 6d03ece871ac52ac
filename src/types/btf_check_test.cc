// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// BTF broken one way a case: every one is refused with its place and what was expected, or
// harmless.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "types/btf_layout.h"
#include "types/test_btf.h"

namespace engram::types {
namespace {

using ::testing::AllOf;
using testing::BtfWriter;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Blob = std::vector<std::byte>;

void poke(Blob& blob, std::size_t offset, std::uint32_t value, std::size_t size = 4) {
  std::memcpy(blob.data() + offset, &value, size);
}

struct Damage {
  const char* name;
  TypeId type;            ///< 0: the header
  std::size_t offset;     ///< in its record: 0 name, 4 info, 8 size or type, 12 what follows
  std::uint32_t value;    ///< to be written there
  const char* complaint;  ///< null if it is harmless
  std::size_t size = 4;   ///< bytes of the value
};

// Types are those of every_kind().
const std::vector<Damage> kDamages = {
    {"magic", 0, 0, 0xeb9e, "offset 0x0: magic 0xeb9e, expected 0xeb9f", 2},
    {"endian", 0, 0, 0x9feb, "offset 0x0: written for a big-endian", 2},
    {"version", 0, 2, 2, "offset 0x2: version 2, expected 1", 1},
    {"flags", 0, 3, 1, "offset 0x3: flags 0x1, expected 0", 1},
    {"header short", 0, 4, 20, "offset 0x4: header of 20 bytes, expected at least 24"},
    {"header odd", 0, 4, 26, "multiple of 4"},
    {"header huge", 0, 4, 0xfffffffc, "expected at most 0x4000000"},
    {"header long", 0, 4, 28, "the blob ends, expected"},
    {"types odd", 0, 8, 2, "offset 0x8: types at 0x2"},
    {"types far", 0, 8, 0xfffffffc, "offset 0x10: strings at"},
    {"types huge", 0, 12, 0xffffffff, "offset 0x10: strings at"},
    {"types none", 0, 12, 0, nullptr},
    {"strings far", 0, 16, 0x1000, "the blob ends, expected"},
    {"strings long", 0, 20, 0x1000, "the blob ends, expected"},
    {"strings huge", 0, 20, 0xffffffff, "expected at most 0x4000000"},
    {"strings none", 0, 20, 0, "no strings, expected at least the empty one"},
    {"kind none", 3, 4, 0, "type 3 at 0x38: kind 0, expected 1 to 19"},
    {"kind new", 3, 4, 20U << 24U, "type 3 at 0x38: kind 20, expected 1 to 19 or one of the 0"},
    {"kind far", 3, 4, 0x7fU << 24U, "kind 127"},
    {"count", 6, 4, BTF_KIND_STRUCT << 24U | 0xffffff, "record of 0xc00000"},
    {"name", 6, 0, 0x7e, "type 6 at 0x80: name at"},
    {"name huge", 6, 0, 0xffffffff, "name at 0xffffffff of the strings, expected below"},
    {"name inside", 6, 0, 2, nullptr},
    {"integer size", 1, 8, 3, "type 1 at 0x18: size 3, expected a power of two up to 16"},
    {"integer zero", 1, 8, 0, "size 0"},
    {"integer bits", 1, 12, 33, "integer of 33 bits from bit 0, expected within its 4 bytes"},
    {"integer offset", 1, 12, 1U << 16U | 32, "integer of 32 bits from bit 1"},
    {"pointer", 3, 8, 21, "type 3 at 0x38: refers to type 21, expected below 21"},
    {"pointer self", 3, 8, 3, "leads over more than 64"},
    {"array element", 4, 12, 99, "refers to type 99"},
    {"array index", 4, 16, 99, "refers to type 99"},
    {"array self", 4, 12, 4, "type 4 at 0x44: contains itself"},
    {"array large", 4, 20, 100,
     "type 6 at 0x80: member 1 takes 800 bits from bit 64, expected within its 40 bytes"},
    {"array overflow", 4, 20, 0xffffffff, "member 1 takes"},
    {"member name", 6, 12, 0x10000, "name at 0x10000"},
    {"member type", 6, 16, 0x80000001, "refers to type 2147483649"},
    {"member self", 6, 16, 10, "contains itself"},
    {"member outside", 6, 20, 321, "member 0 takes 64 bits from bit 321"},
    {"member void", 6, 16, 0, nullptr},
    {"bit-field outside", 6, 20, 4U << 24U | 317, "member 0 takes 4 bits from bit 317"},
    {"structure small", 6, 8, 16,
     "member 1 takes 128 bits from bit 64, expected within its 16 bytes"},
    {"union small", 5, 8, 0, "member 0 takes 8 bits from bit 0"},
    {"structure large", 6, 8, 0xffffffff, nullptr},
    {"enum size", 7, 8, 16, "size 16, expected a power of two up to 8"},
    {"enum name", 7, 20, 0x10000, "name at 0x10000"},
    {"enum64 size", 8, 8, 5, "size 5"},
    {"enum64 name", 8, 12, 0x10000, "name at 0x10000"},
    {"typedef", 10, 8, 0x10000, "refers to type 65536"},
    {"typedef loop", 10, 8, 12, "contains itself"},
    {"const", 11, 8, 0x10000, "refers to type 65536"},
    {"volatile", 12, 8, 0x10000, "refers to type 65536"},
    {"restrict", 13, 8, 0x10000, "refers to type 65536"},
    {"type tag", 14, 8, 0x10000, "refers to type 65536"},
    {"type tag self", 14, 8, 14, "contains itself"},
    {"prototype", 15, 8, 0x10000, "refers to type 65536"},
    {"parameter name", 15, 12, 0x10000, "name at 0x10000"},
    {"parameter type", 15, 24, 0x10000, "refers to type 65536"},
    {"function", 16, 8, 0x10000, "refers to type 65536"},
    {"variable", 17, 8, 0x10000, "refers to type 65536"},
    {"variable self", 17, 8, 17, "contains itself"},
    {"section", 18, 12, 0x10000, "refers to type 65536"},
    {"float size", 19, 8, 10, "size 10"},
    {"float 96 bits", 19, 8, 12, nullptr},
    {"declaration tag", 20, 8, 0x10000, "refers to type 65536"},
};

TEST(BtfCheck, DamageIsRefusedOrHarmless) {
  const BtfWriter writer = testing::every_kind();
  for (const Damage& damage : kDamages) {
    SCOPED_TRACE(damage.name);
    Blob blob = writer.bytes();
    poke(blob, (damage.type == 0 ? 0 : writer.offset_of(damage.type)) + damage.offset, damage.value,
         damage.size);
    const auto types = TypeDb::from_btf(blob);
    ASSERT_EQ(types.has_value(), damage.complaint == nullptr) << (types ? "" : types.error().text);
    if (types) {
      testing::walk(*types);
    } else {
      EXPECT_THAT(types.error().text, AllOf(StartsWith("btf: "), HasSubstr(damage.complaint)));
    }
  }
}

std::string error_of(const Blob& blob, const TypeDb* base = nullptr) {
  const auto types = TypeDb::from_btf(blob, base);
  return types ? "none" : types.error().text;
}

TEST(BtfCheck, SectionsThatDoNotMatchTheirContent) {
  const BtfWriter writer = testing::every_kind();
  const Blob original = writer.bytes();
  ASSERT_EQ(error_of(original), "none");
  EXPECT_EQ(error_of({}), "btf: 0 bytes, expected a header of at least 24");
  const auto types_length = load<std::uint32_t>(original, 12).value();
  Blob blob = original;
  poke(blob, 12, types_length + 4);
  EXPECT_THAT(error_of(blob), HasSubstr("offset 0x10: strings at"));
  poke(blob, 12, types_length - 4);
  EXPECT_THAT(error_of(blob), HasSubstr("to the end of the types"));
  blob = original;
  blob[blob.size() - writer.string_length()] = std::byte{'x'};
  EXPECT_THAT(error_of(blob), HasSubstr("begin with byte 0x78, expected NUL"));
  blob = original;
  blob.back() = std::byte{'x'};
  EXPECT_THAT(error_of(blob), HasSubstr("end with byte 0x78, expected NUL"));
}

TEST(BtfCheck, EveryTruncationIsRefused) {
  const Blob blob = testing::every_kind().bytes();
  for (std::size_t size = 0; size < blob.size(); ++size) {
    // A copy of this size, so that a sanitizer sees a read behind it.
    EXPECT_THAT(error_of(Blob(blob.begin(), blob.begin() + static_cast<std::ptrdiff_t>(size))),
                HasSubstr("expected"));
  }
}

TEST(BtfCheck, EveryChangedByteIsRefusedOrSurvived) {
  const Blob original = testing::every_kind().bytes();
  std::size_t refused = 0;
  for (std::size_t at = 0; at < original.size(); ++at) {
    for (const unsigned change : {0x01U, 0x02U, 0x04U, 0x08U, 0x10U, 0x20U, 0x40U, 0x80U, 0xffU}) {
      Blob blob = original;
      blob[at] ^= static_cast<std::byte>(change);
      if (const auto types = TypeDb::from_btf(blob)) {
        testing::walk(*types);
      } else {
        ++refused;
        EXPECT_THAT(types.error().text, StartsWith("btf: "));
      }
    }
  }
  EXPECT_GT(refused, original.size());
}

TypeDb::Record record_of(const Blob& blob) {
  return {42, digest(blob, 42)};
}

mapping::BulkVector<std::byte> bulk(const Blob& blob) {
  return {blob.begin(), blob.end()};
}

TEST(BtfCheck, AKnownBlobHasTheSameTypes) {
  const Blob blob = testing::every_kind().bytes();
  const auto types = TypeDb::from_btf(blob);
  ASSERT_TRUE(types);
  const auto again = TypeDb::from_known_btf(bulk(blob), types->record());
  ASSERT_TRUE(again) << again.error().text;
  EXPECT_EQ(again->type_count(), types->type_count());
  EXPECT_EQ(testing::walk(*again), testing::walk(*types));
}

TEST(BtfCheck, ABlobThatIsNotTheKnownOneIsChecked) {
  const Blob original = testing::every_kind().bytes();
  const TypeDb::Record record = TypeDb::from_btf(original)->record();
  for (std::size_t at = 0; at < original.size(); ++at) {
    Blob blob = original;
    blob[at] ^= std::byte{0xff};
    const auto checked = TypeDb::from_btf(blob);
    const auto known = TypeDb::from_known_btf(bulk(blob), record);
    ASSERT_EQ(known.has_value(), checked.has_value()) << at;
    if (!known) {
      EXPECT_EQ(known.error().text, checked.error().text);
    }
  }
}

// A record says that what was never checked had passed every check.
TEST(BtfCheck, ARecordThatLiesDoesNoHarm) {
  const Blob original = testing::every_kind().bytes();
  std::size_t accepted = 0;
  for (std::size_t at = 0; at < original.size(); ++at) {
    for (const unsigned change : {0x01U, 0x02U, 0x04U, 0x08U, 0x10U, 0x20U, 0x40U, 0x80U, 0xffU}) {
      Blob blob = original;
      blob[at] ^= static_cast<std::byte>(change);
      if (const auto types = TypeDb::from_known_btf(bulk(blob), record_of(blob))) {
        ++accepted;
        testing::walk(*types);
      }
    }
  }
  EXPECT_GT(accepted, original.size());
}

TEST(BtfCheck, EveryChangedByteOfAModule) {
  const BtfWriter kernel = testing::every_kind();
  const auto base = TypeDb::from_btf(kernel.bytes());
  BtfWriter w(kernel.next(), kernel.string_length());
  w.structure("device", 88, {{"nodes", w.array(6, 2), 0}, {"count", 1, 640, 3}});
  const Blob module = w.bytes();
  ASSERT_EQ(error_of(module, &*base), "none");
  for (std::size_t at = 0; at < module.size(); ++at) {
    for (const unsigned change : {0x01U, 0x10U, 0x80U, 0xffU}) {
      Blob blob = module;
      blob[at] ^= static_cast<std::byte>(change);
      if (const auto types = TypeDb::from_btf(blob, &*base)) testing::walk(*types);
    }
  }
}

TEST(BtfCheck, AModulesMembersFitByTheKernelsSizes) {
  const BtfWriter kernel = testing::every_kind();
  const auto base = TypeDb::from_btf(kernel.bytes());
  BtfWriter w(kernel.next(), kernel.string_length());
  w.structure("device", 32, {{"node", 6}});
  EXPECT_THAT(error_of(w.bytes(), &*base), HasSubstr("member 0 takes 320 bits from bit 0"));
}

TEST(BtfCheck, AModulesNumbersMeanNothingWithoutTheKernel) {
  const BtfWriter kernel = testing::every_kind();
  BtfWriter w(kernel.next(), kernel.string_length());
  w.structure("device", 64, {{"node", 6}});
  EXPECT_THAT(error_of(w.bytes()), HasSubstr("the strings begin with byte"));
}

TEST(BtfCheck, TheStringsOfAModuleEndWithNul) {
  const BtfWriter kernel = testing::every_kind();
  const auto base = TypeDb::from_btf(kernel.bytes());
  BtfWriter w(kernel.next(), kernel.string_length());
  w.structure("device", 64, {{"node", 6}});
  Blob blob = w.bytes();
  blob.back() = std::byte{'x'};
  EXPECT_THAT(error_of(blob, &*base), HasSubstr("the strings end with byte 0x78, expected NUL"));
}

TEST(BtfCheck, LongNamesAreRefused) {
  BtfWriter w;
  w.integer(std::string(btf::kNameLimit, 'x'), 4);
  EXPECT_EQ(error_of(w.bytes()), "none");
  w.integer(std::string(btf::kNameLimit + 1, 'x'), 4);
  EXPECT_THAT(error_of(w.bytes()), HasSubstr("string of 4097 bytes, expected at most 4096"));
}

TEST(BtfCheck, MoreTypesThanTheKernelTakesAreRefused) {
  BtfWriter w;
  for (std::uint32_t i = 0; i < btf::kTypeLimit; ++i) w.add(BTF_KIND_FWD, "", 0);
  EXPECT_EQ(error_of(w.bytes()), "none");
  w.add(BTF_KIND_FWD, "", 0);
  EXPECT_THAT(error_of(w.bytes()), HasSubstr("type 1048576 at"));
}

TEST(BtfCheck, LongBlobsAreRefused) {
  Blob blob(btf::kBlobLimit + 4);
  const Blob small = testing::every_kind().bytes();
  std::copy(small.begin(), small.end(), blob.begin());
  poke(blob, 20, static_cast<std::uint32_t>(btf::kBlobLimit));
  EXPECT_THAT(error_of(blob), HasSubstr("expected at most 0x4000000"));
}

enum class Chain : std::uint8_t { typedefs, arrays, structures, pointers };

std::string chain_error(Chain kind, std::uint32_t length, bool inner_first) {
  BtfWriter w;
  const TypeId integer = w.integer("int", 4);
  for (std::uint32_t i = 0; i < length; ++i) {
    TypeId inner = i == 0 ? integer : w.next() - 1;
    if (!inner_first) inner = i + 1 == length ? integer : w.next() + 1;
    switch (kind) {
      case Chain::typedefs:
        w.add(BTF_KIND_TYPEDEF, "t", inner);
        break;
      case Chain::arrays:
        w.array(inner, 1);
        break;
      case Chain::structures:
        w.structure("s", 4, {{"m", inner}});
        break;
      case Chain::pointers:
        w.pointer(inner);
        break;
    }
  }
  return error_of(w.bytes());
}

TEST(BtfCheck, DeepNestingIsRefusedInEitherOrder) {
  for (const bool inner_first : {true, false}) {
    for (const Chain kind : {Chain::typedefs, Chain::arrays, Chain::structures}) {
      EXPECT_EQ(chain_error(kind, btf::kNestingLimit - 1, inner_first), "none");
      EXPECT_THAT(chain_error(kind, btf::kNestingLimit, inner_first),
                  HasSubstr("nested deeper than 64"));
      EXPECT_THAT(chain_error(kind, 100'000, inner_first), HasSubstr("nested deeper than 64"));
    }
    EXPECT_EQ(chain_error(Chain::pointers, btf::kNestingLimit - 1, inner_first), "none");
    EXPECT_THAT(chain_error(Chain::pointers, btf::kNestingLimit, inner_first),
                HasSubstr("leads over more than 64"));
  }
}

TEST(BtfCheck, AStructureMayPointAtItself) {
  BtfWriter w;
  w.structure("list_head", 16, {{"next", w.next() + 1}, {"prev", w.next() + 1, 64}});
  w.pointer(1);
  EXPECT_EQ(error_of(w.bytes()), "none");
}

TEST(BtfCheck, LayoutSectionsOutOfPlaceAreRefused) {
  const BtfWriter w = testing::every_kind();
  const std::vector<btf::KindLayout> layout(btf::kKnownKinds.begin(), btf::kKnownKinds.end());
  const Blob original = w.bytes(32, layout);
  ASSERT_EQ(error_of(original), "none");
  const auto types_end = load<std::uint32_t>(original, 12).value();
  for (const auto& [offset, length] :
       std::vector<std::pair<std::uint32_t, std::uint32_t>>{{types_end - 4, 8},
                                                            {types_end, 0x1000},
                                                            {0xfffffffc, 8},
                                                            {0, 4},
                                                            {types_end, 0xffffffff}}) {
    Blob blob = original;
    poke(blob, 24, offset);
    poke(blob, 28, length);
    EXPECT_THAT(error_of(blob), HasSubstr("offset 0x18: layout section of")) << offset;
  }
}

TEST(BtfCheck, ALayoutSectionDoesNotRedefineKnownKinds) {
  BtfWriter w;
  w.integer("int", 4);
  const std::vector<btf::KindLayout> layout(20, {.fixed_size = 0, .element_size = 0, .flags = 0});
  EXPECT_EQ(error_of(w.bytes(32, layout)), "none");
}

TEST(BtfCheck, RecordsOfUnknownKindsAreBounded) {
  std::vector<btf::KindLayout> layout(21);
  layout[20] = {.fixed_size = 2, .element_size = 0, .flags = 0};
  BtfWriter w;
  w.add(20, "odd", 0, 0, false, {0});
  EXPECT_THAT(error_of(w.bytes(32, layout)),
              HasSubstr("record of 0xe bytes by the layout section"));
  layout[20] = {.fixed_size = 8, .element_size = 0, .flags = 0};
  EXPECT_THAT(error_of(w.bytes(32, layout)),
              HasSubstr("record of 0x14 bytes, expected at most 0x10"));
  layout[20] = {.fixed_size = 0, .element_size = 255, .flags = 0};
  BtfWriter many;
  many.add(20, "many", 0, 0xfffffc);
  EXPECT_THAT(error_of(many.bytes(32, layout)), HasSubstr("to the end of the types"));
}

}  // namespace
}  // namespace engram::types
