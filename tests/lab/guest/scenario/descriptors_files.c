// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
// Descriptors of files: positions, flags, locks, deleted and unnamed files, odd names.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "descriptors.h"
#include "scenario.h"

// A file that is gone from its directory and lives on through the descriptor.
static int open_deleted(const char* path, const char* line_format) {
  int file = open(path, O_CREAT | O_RDWR | O_TRUNC, 0600);
  for (int i = 0; i < 3000; i++) dprintf(file, line_format, i);
  return file;
}

static void open_regular_files(void) {
  int file = open("/tmp/lab-regular.txt", O_CREAT | O_RDWR | O_TRUNC, 0640);
  CHECK(write(file, "regular tmpfs file 0123456789abcdef\n", 36));
  lseek(file, 17, SEEK_SET);
  expect("fd regular %d pos 17", file);

  file = open_deleted("/tmp/lab-deleted.txt", "deleted tmpfs content line %05d\n");
  unlink("/tmp/lab-deleted.txt");
  expect("fd deleted_tmpfs %d", file);

  file = open_deleted("/var/tmp/lab-deleted-ext4.txt", "deleted ext4 content line %05d\n");
  fsync(file);
  unlink("/var/tmp/lab-deleted-ext4.txt");
  expect("fd deleted_ext4 %d", file);
}

static void open_locked_files(void) {
  int file = open("/var/log/lab-append.log", O_CREAT | O_WRONLY | O_APPEND, 0644);
  dprintf(file, "append line one\nappend line two\n");
  expect("fd append %d", file);
  CHECK(flock(file, LOCK_EX));

  file = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
  char head[33];
  CHECK(read(file, head, sizeof head));
  expect("fd passwd %d pos 33", file);
  struct flock range = {.l_type = F_RDLCK, .l_start = 5, .l_len = 10};
  CHECK(fcntl(file, F_SETLK, &range));
}

static void open_special_files(void) {
  expect("fd dir %d", open("/etc", O_RDONLY | O_DIRECTORY));
  expect("fd opath %d", open("/usr/local/bin", O_PATH));
  expect("fd devnull %d", open("/dev/null", O_WRONLY | O_NONBLOCK));
  CHECK(open("/dev/zero", O_RDWR));
  CHECK(open("/dev/urandom", O_RDONLY));
  CHECK(open("/proc/self/maps", O_RDONLY));
  CHECK(open("/sys/kernel/notes", O_RDONLY));
  CHECK(open("/proc/1/ns/mnt", O_RDONLY));

  int file = open("/tmp/\xe2\x98\x83 snow man\twith\\odd\nname.txt", O_CREAT | O_RDWR, 0600);
  CHECK(write(file, "odd\n", 4));
  expect("fd oddname %d", file);

  file = open("/", O_TMPFILE | O_RDWR, 0600);
  CHECK(write(file, "O_TMPFILE content\n", 18));
  expect("fd tmpfile %d", file);

  CHECK(mkfifo("/tmp/lab.fifo", 0644));
  expect("fd fifo %d", open("/tmp/lab.fifo", O_RDWR));
}

void open_files(void) {
  open_regular_files();
  open_locked_files();
  open_special_files();
}
