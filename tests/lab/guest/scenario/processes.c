// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
// Processes and threads in every state that a process table should show.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scenario.h"

enum { kTreeDepth = 4, kBranchLevel = 2 };

static void exec_tree_child(int level, int branch) {
  char level_argument[32], branch_argument[32], token[64];
  snprintf(level_argument, sizeof level_argument, "--level=%d", level);
  snprintf(branch_argument, sizeof branch_argument, "--branch=%d", branch);
  snprintf(token, sizeof token, "tok-%d-%d-c0ffee", level, branch);
  setenv("LAB_TOKEN", token, 1);
  execl("/usr/local/bin/lab-tree", "lab-tree", level_argument, branch_argument,
        "--secret=hunter2-xyzzy", "arg with spaces", "", "caf\xc3\xa9", (char*)NULL);
  _exit(1);
}

// Four generations; the second has two children. Arguments hold a blank, nothing, and UTF-8.
int run_tree(int argc, char** argv) {
  int level = 1;
  for (int i = 1; i < argc; i++) sscanf(argv[i], "--level=%d", &level);
  if (level == kTreeDepth) announce_ready("tree");
  int children = level == kTreeDepth ? 0 : level == kBranchLevel ? 2 : 1;
  for (int branch = 0; branch < children; branch++)
    if (!fork()) exec_tree_child(level + 1, branch);
  sleep_forever();
}

// A process that pretends to be a kernel thread: new comm, arguments overwritten in place.
int run_masquerade(int argc, char** argv) {
  char* end = argv[argc - 1] + strlen(argv[argc - 1]);
  size_t room = (size_t)(end - argv[0]);
  memset(argv[0], 0, room);
  snprintf(argv[0], room, "[kworker/u8:7-evil]");
  set_thread_name("kworker/u8:7");
  announce_ready("masq");
  sleep_forever();
}

static pthread_mutex_t contended_mutex = PTHREAD_MUTEX_INITIALIZER;

// The thread's name says what it waits in.
static void* thread_body(void* argument) {
  const char* name = argument;
  set_thread_name(name);
  if (strstr(name, "futex")) pthread_mutex_lock(&contended_mutex);
  if (strstr(name, "sleep"))
    for (;;) sleep(100000);
  if (strstr(name, "poll")) {
    struct epoll_event event;
    epoll_wait(epoll_create1(0), &event, 1, -1);
  }
  // The C library's setresuid() changes all threads; the system call changes this one.
  if (strstr(name, "uid")) syscall(SYS_setresuid, 1234, 1234, 1234);
  sleep_forever();
}

int run_threads(int argc, char** argv) {
  static char* names[] = {"worker-alpha", "worker-beta",    "futex-wait",     "sleeper-sleep",
                          "net-poll",     "thread-uid1234", "fifteen-chars-x"};
  (void)argc, (void)argv;
  pthread_mutex_lock(&contended_mutex);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    pthread_t thread;
    CHECK(-pthread_create(&thread, NULL, thread_body, names[i]));
  }
  set_thread_name("lab-thr-main");
  sleep_milliseconds(500);
  announce_ready("threads");
  sleep_forever();
}

// Two children that nobody waits for: one left with a code, one was killed by a signal.
int run_zombies(int argc, char** argv) {
  (void)argc, (void)argv;
  if (!fork()) {
    set_thread_name("lab-zombie-kid");
    _exit(42);
  }
  if (!fork()) {
    set_thread_name("lab-zombie-sig");
    raise(SIGKILL);
  }
  sleep_milliseconds(200);
  announce_ready("zombie");
  sleep_forever();
}

// A vfork child that never executes anything: it shares its parent's mm, the parent is in D state.
int run_vfork(int argc, char** argv) {
  (void)argc, (void)argv;
  if (!vfork()) {
    // Nothing here may return or touch the C library's state: the memory is the parent's.
    close(open("/run/lab/ready/vfork", O_CREAT | O_WRONLY, 0644));
    for (;;) syscall(SYS_pause);
  }
  sleep_forever();
}

int run_stopped(int argc, char** argv) {
  (void)argc, (void)argv;
  announce_ready("stopped");
  raise(SIGSTOP);
  sleep_forever();
}

static pid_t fork_tracee(const char* name) {
  pid_t child = fork();
  if (child) return child;
  set_thread_name(name);
  sleep_forever();
}

// Traces two children; the first is stopped by its tracer, the second runs.
int run_tracer(int argc, char** argv) {
  (void)argc, (void)argv;
  pid_t stopped = fork_tracee("lab-tracee");
  pid_t running = fork_tracee("lab-tracee-run");
  sleep_milliseconds(500);
  CHECK(ptrace(PTRACE_SEIZE, stopped, 0, 0));
  CHECK(ptrace(PTRACE_INTERRUPT, stopped, 0, 0));
  int status;
  waitpid(stopped, &status, __WALL);
  expect("tracee %d", stopped);
  CHECK(ptrace(PTRACE_SEIZE, running, 0, 0));
  expect("tracee_running %d", running);
  announce_ready("trace");
  sleep_forever();
}

// Keeps one processor busy, so that a machine of several has a task in R state beside the
// collector.
int run_spinner(int argc, char** argv) {
  (void)argc, (void)argv;
  if (nice(19) < 0) expect("FAILED nice");
  announce_ready("spin");
  for (volatile unsigned long counter = 0;; counter++) {
  }
}

int run_sleeper(int argc, char** argv) {
  (void)argc, (void)argv;
  sleep_forever();
}
