// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
// lab-churn: processes and threads that come and go as fast as the machine can, until it is stopped.
// The lists of tasks are changed at their ends and in their middle: some children are reaped at once,
// some lie about as zombies for a while, some leave through exec.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kWorkers = 3, kBrood = 4 };

static void* leave_at_once(void* unused) { return unused; }

static void be_brief(int number) {
  prctl(PR_SET_NAME, "lab-brief");
  pthread_t threads[2];
  for (int i = 0; i < 2; i++)
    if (pthread_create(&threads[i], NULL, leave_at_once, NULL)) _exit(1);
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  if (number % 4 == 0) execl("/proc/self/exe", "lab-brief", "--leave", (char*)NULL);
  _exit(0);
}

static void work(void) {
  for (int number = 0;; number++) {
    pid_t child = fork();
    if (child == 0) be_brief(number);
    // Every few children the rest of the brood is reaped, too.
    if (number % kBrood == 0) {
      while (waitpid(-1, NULL, 0) > 0) continue;
    }
  }
}

int main(int argc, char** argv) {
  if (argc > 1 && !strcmp(argv[1], "--leave")) return 0;
  for (int i = 0; i < kWorkers; i++)
    if (fork() == 0) work();
  while (wait(NULL) > 0) continue;
  perror("lab-churn: no worker is left");
  return 1;
}
