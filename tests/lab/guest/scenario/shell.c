// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
// An interactive shell on a pseudo-terminal, with somebody who types.
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "scenario.h"

enum { kPromptTimeoutMs = 5000, kLastLineMs = 500, kTypingMs = 100 };

struct Terminal {
  int master;
  int typescript;
  char last[6];  // the last bytes of output
};

// Copies what the shell printed; false where it printed nothing for TIMEOUT_MS.
static bool copy_output(struct Terminal* terminal, int timeout_ms) {
  struct pollfd wait = {.fd = terminal->master, .events = POLLIN};
  if (poll(&wait, 1, timeout_ms) <= 0) return false;
  char buffer[4096];
  ssize_t length = read(terminal->master, buffer, sizeof buffer);
  if (length <= 0) return false;
  CHECK(write(terminal->typescript, buffer, (size_t)length));
  for (ssize_t i = 0; i < length; i++) {
    memmove(terminal->last, terminal->last + 1, sizeof terminal->last - 1);
    terminal->last[sizeof terminal->last - 1] = buffer[i];
  }
  return true;
}

// Root's prompt ends so in bash; ash asks for the cursor's position behind it.
static bool at_prompt(const struct Terminal* terminal) {
  return !memcmp(terminal->last, "# \033[6n", 6) || !memcmp(terminal->last + 4, "# ", 2);
}

static void wait_for_prompt(struct Terminal* terminal) {
  while (!at_prompt(terminal) && copy_output(terminal, kPromptTimeoutMs)) {
  }
}

static void type_line(struct Terminal* terminal, const char* line) {
  memset(terminal->last, 0, sizeof terminal->last);
  CHECK(write(terminal->master, line, strlen(line)));
}

// lab-pty NAME INPUT PROGRAM ARGUMENT...: types the lines of INPUT into PROGRAM, each after a
// prompt. The last line is a command that does not end.
int run_shell_on_pty(int argc, char** argv) {
  struct winsize size = {.ws_row = 24, .ws_col = 80};
  struct Terminal terminal = {0};
  if (argc < 4) return 2;
  pid_t shell = forkpty(&terminal.master, NULL, NULL, &size);
  if (!shell) {
    execv(argv[3], argv + 3);
    _exit(1);
  }
  char path[100], line[1000];
  snprintf(path, sizeof path, "/run/lab/%s.typescript", argv[1]);
  terminal.typescript = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
  expect("pty %s pid %d", argv[1], shell);
  FILE* input = fopen(argv[2], "re");
  if (!input) return 1;
  while (fgets(line, sizeof line, input)) {
    wait_for_prompt(&terminal);
    sleep_milliseconds(kTypingMs);
    type_line(&terminal, line);
  }
  while (copy_output(&terminal, kLastLineMs)) {
  }
  announce_ready(argv[1]);
  while (copy_output(&terminal, -1)) {
  }
  sleep_forever();
}
