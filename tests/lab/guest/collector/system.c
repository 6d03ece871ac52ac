// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
// The kernel, its settings, its logs and its counters.
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "collect.h"
#include "record.h"

enum { kSysctlLimit = 65536, kSyslogReadAll = 3, kSyslogBufferSize = 10 };

static void record_clock(const char* name, clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  record_format(name, "%ld.%09ld\n", now.tv_sec, now.tv_nsec);
}

void collect_clocks(void) {
  record_clock("time:realtime", CLOCK_REALTIME);
  record_clock("time:monotonic", CLOCK_MONOTONIC);
  record_clock("time:boottime", CLOCK_BOOTTIME);
}

// Loaded modules have an initstate; the others are built in and have parameters at most.
static void record_module(const char* folder, const char* name) {
  static const char* const facts[] = {"version",  "srcversion", "refcnt", "initstate",
                                      "coresize", "initsize",   "taint",  NULL};
  static const char* const parts[] = {"parameters", "sections", "notes", NULL};
  char path[600];
  snprintf(path, sizeof path, "%s/%s/initstate", folder, name);
  int loaded = !access(path, R_OK);
  for (const char* const* part = parts; *part; part++) {
    snprintf(path, sizeof path, "%s/%s/%s", folder, name, *part);
    if (!access(path, R_OK) && (loaded || part == parts)) for_each_entry(path, record_entry);
  }
  if (!loaded) return;
  for (const char* const* fact = facts; *fact; fact++) {
    snprintf(path, sizeof path, "%s/%s/%s", folder, name, *fact);
    if (!access(path, R_OK)) record_file("%s", path);
  }
}

// The program headers of /proc/kcore (kernel virtual to physical) and its notes (VMCOREINFO).
static void record_kcore(void) {
  Elf64_Ehdr header;
  int file = open("/proc/kcore", O_RDONLY | O_CLOEXEC);
  if (file < 0 || pread(file, &header, sizeof header, 0) != sizeof header) {
    record_error("/proc/kcore", errno);
    if (file >= 0) close(file);
    return;
  }
  size_t size = header.e_phnum * sizeof(Elf64_Phdr);
  Elf64_Phdr* segments = malloc(size);
  if (pread(file, segments, size, (off_t)header.e_phoff) == (ssize_t)size) {
    text_start();
    for (int i = 0; i < header.e_phnum; i++)
      text_addf("type=%u vaddr=%lx paddr=%lx filesz=%lx flags=%x\n", segments[i].p_type,
                segments[i].p_vaddr, segments[i].p_paddr, segments[i].p_filesz,
                segments[i].p_flags);
    text_record("kcore:phdrs");
    for (int i = 0; i < header.e_phnum; i++) {
      if (segments[i].p_type != PT_NOTE) continue;
      char* notes = malloc(segments[i].p_filesz);
      ssize_t length = pread(file, notes, segments[i].p_filesz, (off_t)segments[i].p_offset);
      if (length > 0) record_bytes("kcore:notes", notes, (size_t)length);
      free(notes);
    }
  }
  free(segments);
  close(file);
}

void collect_kernel(void) {
  static const char* const files[] = {"version",
                                      "cmdline",
                                      "bootconfig",
                                      "cpuinfo",
                                      "modules",
                                      "iomem",
                                      "ioports",
                                      "devices",
                                      "filesystems",
                                      "partitions",
                                      "crypto",
                                      "misc",
                                      "consoles",
                                      "tty/drivers",
                                      "cgroups",
                                      "swaps",
                                      "dma",
                                      "fb",
                                      "execdomains",
                                      "mtrr",
                                      "kallsyms",
                                      "vmallocinfo",
                                      "slabinfo",
                                      "buddyinfo",
                                      "zoneinfo",
                                      "pagetypeinfo",
                                      "bus/input/devices",
                                      "bus/pci/devices",
                                      NULL};
  record_files("/proc", files);
  for_each_entry("/sys/module", record_module);
  for_each_entry("/sys/kernel/btf", record_entry);
  record_file("/sys/kernel/notes");
  record_file("/sys/kernel/vmcoreinfo");
  record_kcore();
}

static void record_setting(const char* folder, const char* name) {
  char path[600];
  struct stat status;
  snprintf(path, sizeof path, "%s/%s", folder, name);
  if (!stat(path, &status) && S_ISREG(status.st_mode) && status.st_mode & 0444)
    record_file_as(path, path, kSysctlLimit);
}

void collect_settings(void) {
  static const char* const folders[] = {"/proc/sys/kernel",
                                        "/proc/sys/kernel/random",
                                        "/proc/sys/vm",
                                        "/proc/sys/fs",
                                        "/proc/sys/net/core",
                                        "/sys/class/dmi/id",
                                        "/sys/devices/system/clocksource/clocksource0",
                                        "/sys/devices/system/cpu/vulnerabilities",
                                        NULL};
  static const char* const tracing[] = {"current_tracer",
                                        "set_ftrace_filter",
                                        "set_ftrace_notrace",
                                        "kprobe_events",
                                        "uprobe_events",
                                        "kprobe_profile",
                                        "enabled_functions",
                                        "trace",
                                        "tracing_on",
                                        "set_event",
                                        "saved_cmdlines",
                                        "instances/lab/current_tracer",
                                        "instances/lab/set_event",
                                        NULL};
  static const char* const security[] = {"lsm", "lockdown", NULL};
  for (const char* const* folder = folders; *folder; folder++)
    for_each_entry(*folder, record_setting);
  record_files("/sys/kernel/tracing", tracing);
  record_files("/sys/kernel/security", security);
  record_file("/etc/os-release");
  record_file("/etc/passwd");
  record_file("/etc/hostname");
  record_file("/var/run/utmp");
}

static void record_interface(const char* folder, const char* name) {
  static const char* const facts[] = {"address",
                                      "addr_len",
                                      "broadcast",
                                      "carrier",
                                      "dev_id",
                                      "flags",
                                      "ifalias",
                                      "ifindex",
                                      "iflink",
                                      "link_mode",
                                      "mtu",
                                      "operstate",
                                      "tx_queue_len",
                                      "type",
                                      "uevent",
                                      "statistics/rx_packets",
                                      "statistics/tx_packets",
                                      "statistics/rx_bytes",
                                      "statistics/tx_bytes",
                                      NULL};
  char prefix[600];
  snprintf(prefix, sizeof prefix, "%s/%s", folder, name);
  record_files(prefix, facts);
}

void collect_network(void) {
  for_each_entry("/sys/class/net", record_interface);
  record_command("ip_addr", "ip -d addr 2>&1");
  record_command("ip_addr_j", "ip -j -d addr 2>&1");
  record_command("ip_link", "ip -d -s link 2>&1");
  record_command("ip_route", "ip route show table all 2>&1");
  record_command("ip_neigh", "ip neigh 2>&1");
  record_command("ss", "ss -tuwxanpe0 2>&1");
  record_command("nft", "nft list ruleset 2>&1");
}

static void record_dmesg(void) {
  int size = klogctl(kSyslogBufferSize, NULL, 0);
  if (size <= 0) return;
  char* log = malloc((size_t)size);
  int length = klogctl(kSyslogReadAll, log, size);
  record_bytes("dmesg", log, length > 0 ? (size_t)length : 0);
  memset(log, 0, (size_t)size);
  free(log);
}

// EPIPE says that records were lost in between; the next read goes on behind the gap.
static void record_kmsg(void) {
  static char record[8192];
  ssize_t length;
  int file = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  text_start();
  while ((length = read(file, record, sizeof record)) > 0 || (length < 0 && errno == EPIPE))
    if (length > 0) text_add(record, (size_t)length);
  text_record("kmsg");
  close(file);
}

void collect_logs(void) {
  record_dmesg();
  record_kmsg();
}

void collect_counters(void) {
  static const char* const files[] = {"keys",        "key-users",   "locks",       "timer_list",
                                      "interrupts",  "softirqs",    "meminfo",     "vmstat",
                                      "diskstats",   "loadavg",     "uptime",      "stat",
                                      "sysvipc/shm", "sysvipc/sem", "sysvipc/msg", NULL};
  record_command("keyctl", "keyctl show @u 2>&1; keyctl show @s 2>&1; keyctl list @u 2>&1");
  record_command("lsns", "lsns 2>&1");
  record_command("uname", "uname -a");
  record_command("mount", "cat /proc/self/mountinfo");
  record_command("ipcs", "cat /proc/sysvipc/shm /proc/sysvipc/sem /proc/sysvipc/msg");
  record_files("/proc", files);
}

void collect_scenario(void) {
  for_each_entry("/run/lab/expect.d", record_entry);
  record_command("ready", "ls /run/lab/ready");
  record_command("missing", "cat /run/lab/missing 2>/dev/null");
}
