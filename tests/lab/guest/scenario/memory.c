// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
// Memory of every kind, with markers at known addresses; shared memory; a program without a file.
// An expectation "KEY 0xADDRESS ... MARKER@OFFSET" says that MARKER lies at ADDRESS + OFFSET.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <unistd.h>

#include "scenario.h"

enum { kPage = 4096, kHugePage = 2 << 20 };

// Headers older than Linux 5.17 do not have it.
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

static char* map_private(size_t size, int protection) {
  return mmap(NULL, size, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

// Writable and executable at once, as an injected program would be; locked and named.
static void map_executable(void) {
  static const char instructions[] = "\x90\x90\x90\x90\x48\x31\xc0\xc3";
  char* region = map_private(3 * kPage, PROT_READ | PROT_WRITE | PROT_EXEC);
  memcpy(region, instructions, sizeof instructions - 1);
  strcpy(region + 64, "RWX-MARKER-5ca1ab1e");
  strcpy(region + kPage + 100, "RWX-MARKER-PAGE2");
  mlock(region, kPage);
  prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, region, 3 * kPage, "lab-named-vma");
  expect("rwx 0x%lx 12288 RWX-MARKER-5ca1ab1e@64", (long)region);
}

static void fill_heap(void) {
  char* big = malloc(300000);
  strcpy(big, "HEAP-BIG-MARKER-0ddba11");
  char* small = malloc(100);
  strcpy(small, "HEAP-SMALL-MARKER-0ddba11");
  expect("heap_small 0x%lx HEAP-SMALL-MARKER-0ddba11", (long)small);
  expect("heap_big 0x%lx HEAP-BIG-MARKER-0ddba11", (long)big);
}

static void map_huge_page(void) {
  char* region = map_private(3 * kHugePage, PROT_READ | PROT_WRITE);
  uintptr_t aligned = ((uintptr_t)region + kHugePage - 1) & ~((uintptr_t)kHugePage - 1);
  madvise(region, 3 * kHugePage, MADV_HUGEPAGE);
  memset((void*)aligned, 'H', kHugePage);
  strcpy((char*)aligned + 0x12345, "THP-MARKER-2mb");
  expect("thp 0x%lx THP-MARKER-2mb@0x12345", (long)aligned);
}

// One page of a private mapping changed (copied on write), the others as in the file; a shared
// view.
static void map_file(void) {
  int file = open("/etc/lab-map.dat", O_RDWR);
  char* private_view = mmap(NULL, 4 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
  strcpy(private_view + kPage + 10, "COW-MARKER-private-change");
  volatile char touched = private_view[0];
  touched = private_view[2 * kPage];
  expect("cow 0x%lx COW-MARKER-private-change@4106", (long)private_view);
  char* shared_view = mmap(NULL, 2 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, file, 2 * kPage);
  touched = shared_view[0];
  (void)touched;
  expect("shared 0x%lx", (long)shared_view);
}

static void map_without_file(void) {
  char* no_access =
      mmap(NULL, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  expect("none 0x%lx", (long)no_access);
  char* shared = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  strcpy(shared + 5000, "SHARED-ANON-MARKER");
  expect("shared_anon 0x%lx SHARED-ANON-MARKER@5000", (long)shared);
}

int run_memory(int argc, char** argv) {
  (void)argc, (void)argv;
  map_executable();
  fill_heap();
  // This function never returns, so its frame and the marker in it stay.
  volatile char on_stack[64];
  strcpy((char*)on_stack, "STACK-MARKER-feedbead");
  expect("stack 0x%lx STACK-MARKER-feedbead", (long)on_stack);
  map_huge_page();
  map_file();
  map_without_file();
  announce_ready("rwx");
  sleep_forever();
}

static void make_system_v_objects(void) {
  int segment = shmget(0x1ab5, 65536, IPC_CREAT | 0640);
  char* attached = shmat(segment, NULL, 0);
  strcpy(attached + 777, "SYSV-SHM-MARKER");
  expect("sysv_shm id %d at 0x%lx SYSV-SHM-MARKER@777", segment, (long)attached);
  int semaphores = semget(0x1ab6, 3, IPC_CREAT | 0600);
  int queue = msgget(0x1ab7, IPC_CREAT | 0600);
  struct {
    long type;
    char text[32];
  } message = {5, "SYSV-MSG-PAYLOAD"};
  CHECK(msgsnd(queue, &message, sizeof message.text, 0));
  expect("sem %d msg %d", semaphores, queue);
}

int run_shared_memory(int argc, char** argv) {
  (void)argc, (void)argv;
  make_system_v_objects();
  int file = shm_open("/lab-posix-shm", O_CREAT | O_RDWR, 0600);
  CHECK(ftruncate(file, 2 * kPage));
  char* mapped = mmap(NULL, 2 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  strcpy(mapped, "POSIX-SHM-MARKER");
  expect("posix_shm 0x%lx POSIX-SHM-MARKER", (long)mapped);
  announce_ready("shm");
  sleep_forever();
}

static void copy_file_to(const char* path, int destination) {
  char buffer[65536];
  ssize_t length;
  int source = open(path, O_RDONLY);
  while ((length = read(source, buffer, sizeof buffer)) > 0)
    CHECK(write(destination, buffer, (size_t)length));
  close(source);
}

// Becomes a program that lies in a memfd only; it then reports as "other" (see main.c).
int run_fileless(int argc, char** argv) {
  char* arguments[] = {"[fileless-payload]", "--c2=198.51.100.7", NULL};
  char* environment[] = {"PAYLOAD_KEY=deadbeefcafe", NULL};
  (void)argc, (void)argv;
  int payload = memfd_create("payload", MFD_CLOEXEC);
  copy_file_to("/usr/local/sbin/lab-static", payload);
  announce_ready("fileless");
  fexecve(payload, arguments, environment);
  expect("FAILED fexecve errno=%d", errno);
  return 1;
}
