// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/windows/access_rights.h"

#include <gtest/gtest.h>

namespace engram::kernel::windows {
namespace {

TEST(AccessRights, AreNamedByTheTypeOfTheObject) {
  EXPECT_EQ(access_names("Process", 0x0010'0410),
            "PROCESS_VM_READ | PROCESS_QUERY_INFORMATION | SYNCHRONIZE");
  EXPECT_EQ(access_names("Key", 0x0002'0019),
            "KEY_QUERY_VALUE | KEY_ENUMERATE_SUB_KEYS | KEY_NOTIFY | READ_CONTROL");
}

TEST(AccessRights, WhatHasNoNameIsANumber) {
  EXPECT_EQ(access_names("ALPC Port", 0x001F'0001),
            "DELETE | READ_CONTROL | WRITE_DAC | WRITE_OWNER | SYNCHRONIZE | 0x1");
  EXPECT_EQ(access_names("", 0x8000'0001), "GENERIC_READ | 0x1");
  EXPECT_EQ(access_names("File", 0x0420'0200), "0x4200200");
}

TEST(AccessRights, NoneIsAnEmptyText) {
  EXPECT_EQ(access_names("File", 0), "");
}

}  // namespace
}  // namespace engram::kernel::windows
