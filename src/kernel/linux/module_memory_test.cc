// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/module_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernel/linux/test_kernel_memory.h"
#include "types/test_btf.h"

namespace engram::kernel {
namespace {

using types::testing::BtfWriter;

/// "text 0x1000+4096" of each.
std::vector<std::string> texts(const std::vector<ModuleArea>& areas) {
  std::vector<std::string> found;
  for (const auto& area : areas) {
    found.push_back(area.type + " " + std::to_string(area.start.value) + "+" +
                    std::to_string(area.size));
  }
  return found;
}

/// Before 6.4: struct module_layout { void *base; u32 size, text_size, ro_size, after_init; }.
class ModuleLayoutTest : public KernelMemoryTest {
 protected:
  static constexpr std::uint64_t kInit = 24;

  static types::TypeDb make_types() {
    BtfWriter writer;
    const auto pointer = writer.pointer(0);
    const auto number = writer.integer("unsigned int", 4);
    const auto layout = writer.structure("module_layout", 24,
                                         {{"base", pointer, 0},
                                          {"size", number, 64},
                                          {"text_size", number, 96},
                                          {"ro_size", number, 128},
                                          {"ro_after_init_size", number, 160}});
    writer.structure("module", 48,
                     {{"core_layout", layout, 0}, {"init_layout", layout, kInit * 8}});
    return types::TypeDb::from_btf(writer.bytes()).value();
  }

  void put_layout(VirtAddr at, std::uint64_t base, std::uint64_t size, std::uint64_t text,
                  std::uint64_t read_only, std::uint64_t after_init) {
    put(at, base);
    put(at + 8, text << 32U | size);
    put(at + 16, after_init << 32U | read_only);
  }

  types::TypeDb types_ = make_types();
};

TEST_F(ModuleLayoutTest, IsSplitByWhatItHolds) {
  put_layout(kBase, 0x1000, 100, 40, 60, 70);
  put_layout(kBase + kInit, 0x9000, 30, 10, 20, 25);
  const ModuleMemory memory(types_, *reader_);
  EXPECT_THAT(texts(memory.allocations(kBase)),
              testing::ElementsAre("text 4096+100", "init_text 36864+30"));
  EXPECT_THAT(texts(memory.parts(kBase)),
              testing::ElementsAre("text 4096+40", "data 4166+30", "rodata 4136+20",
                                   "ro_after_init 4156+10", "init_text 36864+10",
                                   "init_data 36884+10", "init_rodata 36874+10"));
  EXPECT_TRUE(diagnostics_.rows().empty());
}

TEST_F(ModuleLayoutTest, LeavesOutWhatIsNotInUse) {
  put_layout(kBase, 0x1000, 100, 40, 40, 40);
  put_layout(kBase + kInit, 0, 0, 0, 0, 0);
  EXPECT_THAT(texts(ModuleMemory(types_, *reader_).parts(kBase)),
              testing::ElementsAre("text 4096+40", "data 4136+60"));
}

TEST_F(ModuleLayoutTest, RefusesEndsThatAreNotInOrder) {
  const ModuleMemory memory(types_, *reader_);
  for (const auto& [text, read_only, after_init] :
       {std::array{50, 40, 60}, std::array{10, 70, 60}, std::array{10, 20, 101}}) {
    put_layout(kBase, 0x1000, 100, std::uint64_t(text), std::uint64_t(read_only),
               std::uint64_t(after_init));
    EXPECT_TRUE(memory.parts(kBase).empty());
  }
  EXPECT_EQ(diagnostics_.rows().size(), 3U);
}

/// Since 6.4: struct module { struct module_memory { void *base; u32 size; } mem[2]; }.
TEST_F(KernelMemoryTest, TakesTheTypesOfMemoryFromTheKernel) {
  BtfWriter writer;
  const auto pointer = writer.pointer(0);
  const auto number = writer.integer("unsigned int", 4);
  const auto memory =
      writer.structure("module_memory", 16, {{"base", pointer, 0}, {"size", number, 64}});
  writer.structure("module", 32, {{"mem", writer.array(memory, 2), 0}});
  writer.enumeration("mod_mem_type", 4, true,
                     {{"MOD_TEXT", 0}, {"MOD_INIT_NEWEST", 1}, {"MOD_MEM_NUM_TYPES", 2}});
  const auto types = types::TypeDb::from_btf(writer.bytes()).value();
  put(kBase, 0x1000);
  put(kBase + 8, 0x200);
  put(kBase + 16, 0xfffffffffffffff0);
  put(kBase + 24, 0xf);
  const ModuleMemory module(types, *reader_);
  EXPECT_THAT(texts(module.parts(kBase)),
              testing::ElementsAre("text 4096+512", "init_newest 18446744073709551600+15"));
  put(kBase + 24, 0x11);
  EXPECT_THAT(texts(module.parts(kBase)), testing::ElementsAre("text 4096+512"));
  ASSERT_EQ(diagnostics_.rows().size(), 1U);
  EXPECT_THAT(diagnostics_.rows()[0].message, testing::HasSubstr("over the end"));
}

}  // namespace
}  // namespace engram::kernel
