// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
// Descriptors without a file: pipes, events, timers, watches, memory, BPF objects and counters.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "descriptors.h"
#include "scenario.h"

// A pipe with unread data, an eventfd with a count, and an epoll instance that watches both.
static int open_pipe_and_events(void) {
  int ends[2];
  CHECK(pipe2(ends, O_CLOEXEC));
  CHECK(write(ends[1], "unread pipe data PIPE-7777\n", 27));
  expect("fd pipe %d %d", ends[0], ends[1]);
  int counter = eventfd(7, EFD_NONBLOCK);
  expect("fd eventfd %d count 7", counter);
  int watcher = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN, .data.u64 = 0x1122334455667788};
  CHECK(epoll_ctl(watcher, EPOLL_CTL_ADD, counter, &event));
  CHECK(epoll_ctl(watcher, EPOLL_CTL_ADD, ends[0], &event));
  expect("fd epoll %d watches %d %d", watcher, counter, ends[0]);
  return counter;
}

static void open_signals_and_timers(void) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGUSR1);
  sigaddset(&signals, SIGTERM);
  sigprocmask(SIG_BLOCK, &signals, NULL);
  expect("fd signalfd %d", signalfd(-1, &signals, SFD_NONBLOCK));
  int timer = timerfd_create(CLOCK_MONOTONIC, 0);
  struct itimerspec schedule = {.it_value = {86400, 0}, .it_interval = {3600, 0}};
  CHECK(timerfd_settime(timer, 0, &schedule, NULL));
  expect("fd timerfd %d", timer);
}

static void open_file_watches(void) {
  int inotify = inotify_init1(0);
  CHECK(inotify_add_watch(inotify, "/tmp", IN_CREATE | IN_DELETE));
  CHECK(inotify_add_watch(inotify, "/etc/passwd", IN_ALL_EVENTS));
  expect("fd inotify %d", inotify);
  int fanotify = (int)CHECK(fanotify_init(FAN_CLASS_NOTIF, O_RDONLY));
  CHECK(fanotify_mark(fanotify, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, "/etc/hosts"));
  expect("fd fanotify %d", fanotify);
}

static int open_memfd(void) {
  int memory = memfd_create("lab-memfd", MFD_ALLOW_SEALING);
  for (int i = 0; i < 1000; i++) dprintf(memory, "memfd content MEMFD-%05d\n", i);
  CHECK(fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW));
  expect("fd memfd %d", memory);
  return memory;
}

struct AnonymousDescriptors open_anonymous(void) {
  struct AnonymousDescriptors made;
  made.eventfd = open_pipe_and_events();
  open_signals_and_timers();
  open_file_watches();
  made.memfd = open_memfd();
  expect("fd userfaultfd %d", (int)syscall(SYS_userfaultfd, O_CLOEXEC));
  expect("fd pidfd %d", (int)syscall(SYS_pidfd_open, 1, 0));
  char ring_parameters[256] = {0};  // struct io_uring_params, which grew over the years
  expect("fd io_uring %d", (int)syscall(SYS_io_uring_setup, 8, ring_parameters));
  return made;
}

static int bpf(int command, union bpf_attr* attributes) {
  return (int)syscall(SYS_bpf, command, attributes, sizeof *attributes);
}

static int create_bpf_map(void) {
  union bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.map_type = BPF_MAP_TYPE_HASH;
  attributes.key_size = 4;
  attributes.value_size = 16;
  attributes.max_entries = 64;
  strcpy(attributes.map_name, "lab_map");
  int map = (int)CHECK(bpf(BPF_MAP_CREATE, &attributes));

  unsigned key = 0xabcd;
  char value[16] = "BPFMAPVALUE-42";
  memset(&attributes, 0, sizeof attributes);
  attributes.map_fd = (uint32_t)map;
  attributes.key = (uintptr_t)&key;
  attributes.value = (uintptr_t)value;
  CHECK(bpf(BPF_MAP_UPDATE_ELEM, &attributes));
  return map;
}

// A socket filter of two instructions: r0 = 0; exit.
static int load_bpf_program(void) {
  const struct bpf_insn instructions[] = {{.code = 0xb7, .dst_reg = 0, .imm = 0}, {.code = 0x95}};
  static char log[4096];
  union bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
  attributes.insns = (uintptr_t)instructions;
  attributes.insn_cnt = 2;
  attributes.license = (uintptr_t) "GPL";
  attributes.log_buf = (uintptr_t)log;
  attributes.log_size = sizeof log;
  attributes.log_level = 1;
  strcpy(attributes.prog_name, "lab_prog");
  return (int)CHECK(bpf(BPF_PROG_LOAD, &attributes));
}

void open_bpf_and_perf(void) {
  int map = create_bpf_map();
  int program = load_bpf_program();
  expect("fd bpf_map %d bpf_prog %d", map, program);
  struct perf_event_attr counter = {.type = PERF_TYPE_SOFTWARE,
                                    .size = sizeof counter,
                                    .config = PERF_COUNT_SW_CPU_CLOCK,
                                    .disabled = 1};
  expect("fd perf %d", (int)syscall(SYS_perf_event_open, &counter, 0, -1, -1, 0));
}
