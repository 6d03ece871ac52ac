// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
// A library that LD_PRELOAD forces into a process.
static char evil_data[] = "EVIL-PRELOAD-DATA-b16b00b5";
int lab_shared_counter = 0x5eed;

__attribute__((constructor)) static void on_load(void) {
  lab_shared_counter += evil_data[0];
}

unsigned getuid_hook(void) {
  return 0;
}
