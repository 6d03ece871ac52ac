// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the programs of the guest's scenario share. All of them are one executable; the name under
// which it is started (argv[0]) picks the entry point, so each has its own comm, path and inode.

#include <stdbool.h>
#include <sys/types.h>

// The last part of argv[0].
extern const char* program_name;

// Appends one line "KEY VALUE..." to /run/lab/expect.d/PROGRAM.PID: truth that only the program
// knows (which descriptor is what, where a marker lies). The collector records the folder.
void expect(const char* format, ...) __attribute__((format(printf, 1, 2)));

// Closes the file of expect(), so that it does not show among the process's descriptors.
void close_expectations(void);

// Tells the init script, by a file in /run/lab/ready, that NAME is in its final state.
void announce_ready(const char* name);

_Noreturn void sleep_forever(void);
void sleep_milliseconds(unsigned milliseconds);
void set_thread_name(const char* name);

// Returns RESULT; where it is negative, the failed CALL and errno go to the expectations.
long check_result(long result, const char* call);
#define CHECK(call) check_result((long)(call), #call)

// Entry points: programs that end only with the machine.
int run_tree(int argc, char** argv);
int run_masquerade(int argc, char** argv);
int run_threads(int argc, char** argv);
int run_zombies(int argc, char** argv);
int run_vfork(int argc, char** argv);
int run_stopped(int argc, char** argv);
int run_tracer(int argc, char** argv);
int run_spinner(int argc, char** argv);
int run_sleeper(int argc, char** argv);
int run_namespaces(int argc, char** argv);
int run_user_namespace(int argc, char** argv);
int run_chroot(int argc, char** argv);
int run_capabilities(int argc, char** argv);
int run_user_ids(int argc, char** argv);
int run_descriptors(int argc, char** argv);
int run_network_server(int argc, char** argv);
int run_network_client(int argc, char** argv);
int run_memory(int argc, char** argv);
int run_shared_memory(int argc, char** argv);
int run_fileless(int argc, char** argv);
int run_shell_on_pty(int argc, char** argv);
