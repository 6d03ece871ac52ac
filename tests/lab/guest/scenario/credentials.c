// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
// Credentials: groups, capability sets, seccomp, and user ids that all differ.
#define _GNU_SOURCE
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "scenario.h"

// Two capabilities in each set, two dropped from the bounding set, no_new_privs, a seccomp filter.
int run_capabilities(int argc, char** argv) {
  const gid_t groups[] = {4, 27, 1002};
  const unsigned kept = 1u << CAP_NET_RAW | 1u << CAP_NET_BIND_SERVICE;
  (void)argc, (void)argv;
  CHECK(setgroups(sizeof groups / sizeof *groups, groups));
  CHECK(prctl(PR_SET_KEEPCAPS, 1));
  CHECK(prctl(PR_CAPBSET_DROP, CAP_SYS_MODULE, 0, 0, 0));
  CHECK(prctl(PR_CAPBSET_DROP, CAP_SYS_BOOT, 0, 0, 0));
  CHECK(setresgid(1002, 1002, 1002));
  CHECK(setresuid(1001, 1001, 1001));
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2] = {{kept, kept, kept}, {0, 0, 0}};
  CHECK(syscall(SYS_capset, &header, data));
  CHECK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_RAW, 0, 0));
  CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  struct sock_filter allow_all[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  struct sock_fprog program = {1, allow_all};
  CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
  announce_ready("caps");
  sleep_forever();
}

int run_user_ids(int argc, char** argv) {
  (void)argc, (void)argv;
  CHECK(setresgid(1010, 1011, 1012));
  CHECK(setresuid(1001, 1003, 1004));
  announce_ready("caps2");
  sleep_forever();
}
