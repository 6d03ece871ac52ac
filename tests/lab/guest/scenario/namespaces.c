// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
// Namespaces of every kind, a user namespace of its own, and a changed root.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scenario.h"
#include "sockets.h"

enum { kAlice = 1000 };

static void bring_loopback_up(void) {
  int control = socket(AF_INET, SOCK_DGRAM, 0);
  struct ifreq request = {.ifr_flags = IFF_UP | IFF_RUNNING};
  strcpy(request.ifr_name, "lo");
  CHECK(ioctl(control, SIOCSIFFLAGS, &request));
  close(control);
}

// Process 1 of the new pid namespace, alone in all the others too.
static int namespace_init(void* unused) {
  static const char secret[] = "INNER-NS-SECRET-1f2e3d\n";
  (void)unused;
  program_name = "lab-ns-init";
  set_thread_name("lab-ns-init");
  CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
  CHECK(mount("inner-tmpfs", "/mnt", "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=700"));
  int secret_file = open("/mnt/inner-secret.txt", O_CREAT | O_RDWR, 0600);
  CHECK(write(secret_file, secret, sizeof secret - 1));
  CHECK(sethostname("inner-host", 10));
  CHECK(setdomainname("inner.lab", 9));
  bring_loopback_up();
  listen_tcp(AF_INET, "127.0.0.1", 5555);
  if (!fork()) {
    set_thread_name("lab-ns-kid");
    execl("/usr/local/bin/lab-sleep", "lab-sleep", "in-pid-namespace", (char*)NULL);
    _exit(1);
  }
  sleep_milliseconds(300);
  announce_ready("ns");
  sleep_forever();
}

int run_namespaces(int argc, char** argv) {
  static char stack[65536] __attribute__((aligned(16)));
  const int flags = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET |
                    CLONE_NEWCGROUP | SIGCHLD;
  (void)argc, (void)argv;
  expect("ns_init %ld", CHECK(clone(namespace_init, stack + sizeof stack, flags, NULL)));
  sleep_forever();
}

static void write_text(const char* path, const char* text) {
  int file = open(path, O_WRONLY | O_CREAT, 0644);
  if (file < 0 || write(file, text, strlen(text)) < 0)
    expect("FAILED write %s errno=%d", path, errno);
  close(file);
}

// A user that is root in a user namespace of its own, with a child in a new pid namespace.
int run_user_namespace(int argc, char** argv) {
  (void)argc, (void)argv;
  CHECK(setgroups(0, NULL));
  CHECK(setresgid(kAlice, kAlice, kAlice));
  CHECK(setresuid(kAlice, kAlice, kAlice));
  prctl(PR_SET_DUMPABLE, 1);
  CHECK(unshare(CLONE_NEWUSER | CLONE_NEWPID));
  write_text("/proc/self/setgroups", "deny");
  write_text("/proc/self/uid_map", "0 1000 1\n");
  write_text("/proc/self/gid_map", "0 1000 1\n");
  if (!fork()) {
    set_thread_name("lab-userns-kid");
    sleep_forever();
  }
  close(open("/tmp/userns-ready", O_CREAT | O_WRONLY, 0644));
  announce_ready("userns");
  sleep_forever();
}

int run_chroot(int argc, char** argv) {
  (void)argc, (void)argv;
  announce_ready("chroot");
  CHECK(chroot("/srv/jail"));
  CHECK(chdir("/deep/er"));
  set_thread_name("lab-chrooted");
  sleep_forever();
}
