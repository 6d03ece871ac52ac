// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
// lab-truth DEVICE: records what the guest knows about itself, says so on the serial console, and
// sleeps. The host stops the machine then.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "collect.h"
#include "record.h"

static void tell_host(void) {
  static const char message[] = "LAB-TRUTH-DONE\n";
  int console = open("/dev/ttyS0", O_WRONLY | O_NOCTTY);
  if (write(console, message, sizeof message - 1) < 0) perror("lab-truth: console");
  close(console);
}

int main(int argc, char** argv) {
  if (argc != 2 || record_open(argv[1]) < 0) {
    perror("lab-truth: DEVICE");
    return 1;
  }
  collect_clocks();
  // First: ss loads modules (tcp_diag and its like), which the kernel's own lists then have.
  collect_network();
  collect_kernel();
  collect_settings();
  collect_files();
  collect_logs();
  collect_counters();
  collect_scenario();
  collect_processes();
  record_close();
  tell_host();
  for (;;) pause();
}
