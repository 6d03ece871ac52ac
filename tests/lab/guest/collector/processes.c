// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
// Processes: all that /proc says of each, and where the scenario's pages lie in physical memory.
#define _GNU_SOURCE
#include <ctype.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "collect.h"
#include "record.h"

enum { kPage = 4096, kPagesAtEachEnd = 32, kMaxSeen = 64 };

// What is the same for all processes of a namespace is recorded once, through the first of them.
static int is_first(const char* namespace_id) {
  static char seen[kMaxSeen][96];
  static int count;
  for (int i = 0; i < count; i++)
    if (!strcmp(seen[i], namespace_id)) return 0;
  if (count < kMaxSeen) snprintf(seen[count++], sizeof seen[0], "%.95s", namespace_id);
  return 1;
}

static int read_link(char* target, size_t room, const char* pid, const char* name) {
  char path[300];
  snprintf(path, sizeof path, "/proc/%s/%s", pid, name);
  ssize_t length = readlink(path, target, room - 1);
  target[length < 0 ? 0 : length] = 0;
  return length > 0;
}

// A changed root sees other mounts, so the root is part of the identity.
static void record_mounts(const char* pid) {
  char identity[600], root[300];
  if (!read_link(identity, sizeof identity, pid, "ns/mnt")) return;
  read_link(root, sizeof root, pid, "root");
  strncat(identity, root, 40);
  if (!is_first(identity)) return;
  record_file("/proc/%s/mountinfo", pid);
  record_file("/proc/%s/mounts", pid);
}

static void record_network(const char* pid) {
  static const char* const files[] = {
      "tcp",          "tcp6",       "udp",          "udp6",
      "udplite",      "udplite6",   "raw",          "raw6",
      "icmp",         "icmp6",      "packet",       "netlink",
      "unix",         "dev",        "if_inet6",     "arp",
      "route",        "ipv6_route", "fib_trie",     "fib_triestat",
      "dev_mcast",    "igmp",       "igmp6",        "protocols",
      "sockstat",     "sockstat6",  "ptype",        "vlan/config",
      "rt_cache",     "snmp",       "netstat",      "ip_tables_names",
      "nf_conntrack", "psched",     "softnet_stat", "wireless",
      "xfrm_stat",    NULL};
  char identity[300], prefix[300];
  if (!read_link(identity, sizeof identity, pid, "ns/net") || !is_first(identity)) return;
  snprintf(prefix, sizeof prefix, "/proc/%s/net", pid);
  record_files(prefix, files);
}

static void record_descriptor(const char* folder, const char* name) {
  char path[600], frame[700];
  struct stat status;
  record_link("%s/%s", folder, name);
  snprintf(path, sizeof path, "%s/%s", folder, name);
  if (stat(path, &status)) return;
  snprintf(frame, sizeof frame, "stat:%s", path);
  record_format(frame,
                "ino=%lu dev=%u:%u mode=%o uid=%u gid=%u nlink=%lu size=%ld rdev=%u:%u "
                "mtime=%ld.%09ld",
                status.st_ino, major(status.st_dev), minor(status.st_dev), status.st_mode,
                status.st_uid, status.st_gid, status.st_nlink, (long)status.st_size,
                major(status.st_rdev), minor(status.st_rdev), status.st_mtim.tv_sec,
                status.st_mtim.tv_nsec);
}

static void record_thread(const char* folder, const char* name) {
  static const char* const files[] = {"comm", "stat", "status", "children", "wchan", "stack", NULL};
  char prefix[600];
  snprintf(prefix, sizeof prefix, "%s/%s", folder, name);
  record_files(prefix, files);
}

// One line a page: "ADDRESS pfn=PFN flags=FLAGS" or "ADDRESS swap=ENTRY"; nothing for an absent
// page. Bits from Documentation/admin-guide/mm/pagemap.rst.
static void add_pages(int pagemap, unsigned long address, size_t pages) {
  const uint64_t present = 1ull << 63, swapped = 1ull << 62, pfn_mask = (1ull << 55) - 1;
  uint64_t entries[kPagesAtEachEnd];
  off_t offset = (off_t)(address / kPage * sizeof *entries);
  ssize_t length = pread(pagemap, entries, pages * sizeof *entries, offset);
  for (ssize_t i = 0; i < length / (ssize_t)sizeof *entries; i++) {
    unsigned long page = address + (unsigned long)i * kPage;
    if (entries[i] & present)
      text_addf("%lx pfn=%lx flags=%lx\n", page, (unsigned long)(entries[i] & pfn_mask),
                (unsigned long)(entries[i] >> 55));
    else if (entries[i] & swapped)
      text_addf("%lx swap=%lx\n", page, (unsigned long)entries[i]);
  }
}

// The first and last pages of each mapping of a process.
static void record_pagemap(const char* pid) {
  char path[100], line[5000];
  unsigned long start, end;
  snprintf(path, sizeof path, "/proc/%s/maps", pid);
  FILE* maps = fopen(path, "re");
  if (!maps) return;
  snprintf(path, sizeof path, "/proc/%s/pagemap", pid);
  int pagemap = open(path, O_RDONLY | O_CLOEXEC);
  text_start();
  while (pagemap >= 0 && fgets(line, sizeof line, maps)) {
    if (sscanf(line, "%lx-%lx", &start, &end) != 2 || start >> 63) continue;  // the vsyscall page
    size_t pages = (end - start) / kPage;
    size_t head = pages < kPagesAtEachEnd ? pages : kPagesAtEachEnd;
    size_t tail = pages - head < kPagesAtEachEnd ? pages - head : kPagesAtEachEnd;
    add_pages(pagemap, start, head);
    add_pages(pagemap, end - tail * kPage, tail);
  }
  text_record(path);
  fclose(maps);
  if (pagemap >= 0) close(pagemap);
}

static void record_user_memory(const char* pid) {
  char executable[300];
  if (!read_link(executable, sizeof executable, pid, "exe")) return;  // a kernel thread
  record_file("/proc/%s/smaps", pid);
  record_pagemap(pid);
}

static void record_process(const char* folder, const char* pid) {
  static const char* const files[] = {
      "stat",         "status",        "statm",     "comm",          "cmdline",   "environ",
      "maps",         "limits",        "cgroup",    "oom_score_adj", "oom_score", "loginuid",
      "sessionid",    "wchan",         "syscall",   "stack",         "auxv",      "io",
      "personality",  "timerslack_ns", "uid_map",   "gid_map",       "timers",    "coredump_filter",
      "attr/current", "sched",         "schedstat", "seccomp_cache", NULL};
  static const char* const links[] = {
      "exe",    "cwd",    "root",    "ns/mnt",    "ns/pid",  "ns/pid_for_children",  "ns/net",
      "ns/uts", "ns/ipc", "ns/user", "ns/cgroup", "ns/time", "ns/time_for_children", NULL};
  char path[300];
  if (!isdigit((unsigned char)*pid)) return;
  snprintf(path, sizeof path, "%s/%s", folder, pid);
  record_files(path, files);
  for (const char* const* link = links; *link; link++) record_link("%s/%s", path, *link);
  record_mounts(pid);
  record_network(pid);
  snprintf(path, sizeof path, "/proc/%s/fd", pid);
  for_each_entry(path, record_descriptor);
  snprintf(path, sizeof path, "/proc/%s/fdinfo", pid);
  for_each_entry(path, record_entry);
  snprintf(path, sizeof path, "/proc/%s/task", pid);
  for_each_entry(path, record_thread);
  record_user_memory(pid);
}

void collect_processes(void) {
  struct timespec now;
  for_each_entry("/proc", record_process);
  clock_gettime(CLOCK_REALTIME, &now);
  record_format("time:realtime_end", "%ld.%09ld\n", now.tv_sec, now.tv_nsec);
}
