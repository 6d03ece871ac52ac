// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/cgroup.h"

#include <gtest/gtest.h>

#include <string>

namespace engram::kernel {
namespace {

const std::string kId = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const std::string kOther(64, 'e');

TEST(ContainerId, IsTheLast64HexadecimalDigits) {
  EXPECT_EQ(container_id("/docker/" + kId), kId);
  EXPECT_EQ(container_id("/system.slice/docker-" + kId + ".scope"), kId);
  EXPECT_EQ(container_id("/kubepods/burstable/pod3f/cri-containerd-" + kId + ".scope/init"), kId);
  EXPECT_EQ(container_id("/docker/" + kOther + "/docker/" + kId), kId);
  EXPECT_EQ(container_id("/docker/" + kId + " (deleted)"), kId);
}

TEST(ContainerId, IsNoRunOfAnotherLength) {
  EXPECT_EQ(container_id("/docker/" + kId + "0"), std::nullopt);
  EXPECT_EQ(container_id("/docker/" + kId.substr(1)), std::nullopt);
  EXPECT_EQ(container_id("/user.slice/user-1000.slice"), std::nullopt);
  EXPECT_EQ(container_id("/"), std::nullopt);
  EXPECT_EQ(container_id(""), std::nullopt);
}

TEST(ContainerId, IsTheNameOfAnLxcPayload) {
  EXPECT_EQ(container_id("/lxc.payload.web/system.slice"), "web");
  EXPECT_EQ(container_id("/lxc.payload.web"), "web");
}

}  // namespace
}  // namespace engram::kernel
