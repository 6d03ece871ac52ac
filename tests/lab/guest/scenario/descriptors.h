// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once
// The parts of lab-fds, in the order in which they run (descriptor numbers follow from it).

void open_files(void);
// Returns the memfd and the eventfd, of which run_descriptors() makes duplicates with high numbers.
struct AnonymousDescriptors {
  int memfd;
  int eventfd;
};
struct AnonymousDescriptors open_anonymous(void);
void open_bpf_and_perf(void);
void open_unix_sockets(void);
void open_raw_sockets(void);
void open_message_queue_and_vsock(void);
