// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "scenario.h"

const char* program_name;

static FILE* expectations;

void expect(const char* format, ...) {
  if (!expectations) {
    char path[200];
    // The raw system call: a child made with clone() must not see a pid cached by the C library.
    snprintf(path, sizeof path, "/run/lab/expect.d/%s.%d", program_name, (int)syscall(SYS_getpid));
    expectations = fopen(path, "ae");
    if (!expectations) return;
  }
  va_list arguments;
  va_start(arguments, format);
  vfprintf(expectations, format, arguments);
  va_end(arguments);
  fputc('\n', expectations);
  fflush(expectations);
}

void close_expectations(void) {
  if (expectations) fclose(expectations);
  expectations = NULL;
}

void announce_ready(const char* name) {
  char path[200];
  snprintf(path, sizeof path, "/run/lab/ready/%s", name);
  close(open(path, O_CREAT | O_WRONLY, 0644));
  close_expectations();
}

void sleep_forever(void) {
  for (;;) pause();
}

void sleep_milliseconds(unsigned milliseconds) {
  usleep(milliseconds * 1000);
}

void set_thread_name(const char* name) {
  prctl(PR_SET_NAME, name);
}

long check_result(long result, const char* call) {
  if (result < 0) expect("FAILED %s errno=%d", call, errno);
  return result;
}
