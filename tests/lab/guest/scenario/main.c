// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "scenario.h"

struct Program {
  const char* name;
  int (*run)(int argc, char** argv);
};

static const struct Program kPrograms[] = {
    {"lab-tree", run_tree},
    {"lab-masq", run_masquerade},
    {"lab-threads", run_threads},
    {"lab-zombie", run_zombies},
    {"lab-vfork", run_vfork},
    {"lab-stopped", run_stopped},
    {"lab-tracer", run_tracer},
    {"lab-spin", run_spinner},
    {"lab-sleep", run_sleeper},
    {"lab-ns", run_namespaces},
    {"lab-userns", run_user_namespace},
    {"lab-chroot", run_chroot},
    {"lab-caps", run_capabilities},
    {"lab-caps2", run_user_ids},
    {"lab-fds", run_descriptors},
    {"lab-netsrv", run_network_server},
    {"lab-netcli", run_network_client},
    {"lab-rwx", run_memory},
    {"lab-shm", run_shared_memory},
    {"lab-fileless", run_fileless},
    {"lab-pty", run_shell_on_pty},
};

// Any other name only says that it is there (LAB_READY names it) and sleeps.
static int run_other(int argc, char** argv) {
  const char* name = getenv("LAB_READY");
  mkdir("/run/lab", 0755);
  announce_ready(name ? name : "other");
  return run_sleeper(argc, argv);
}

int main(int argc, char** argv) {
  const char* slash = strrchr(argv[0], '/');
  program_name = slash ? slash + 1 : argv[0];
  signal(SIGHUP, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  for (size_t i = 0; i < sizeof kPrograms / sizeof *kPrograms; i++)
    if (!strcmp(program_name, kPrograms[i].name)) return kPrograms[i].run(argc, argv);
  return run_other(argc, argv);
}
