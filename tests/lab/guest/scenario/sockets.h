// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once
// Sockets in one call. A failure goes to the expectations; the descriptor is returned in any case.

#include <stdbool.h>
#include <sys/socket.h>

int listen_tcp(int family, const char* ip, int port);
// LOCAL_PORT 0 leaves the choice to the kernel. A non-blocking connection may still be on its way.
int connect_tcp(int family, const char* ip, int port, int local_port, bool non_blocking);
int bind_udp(int family, const char* ip, int port);
void connect_udp(int descriptor, int family, const char* ip, int port);

// An abstract name is not a path: it starts with a NUL byte and lives in the network namespace.
int bind_unix(int type, const char* name, bool abstract);
int listen_unix(int type, const char* name, bool abstract);
int connect_unix(int type, const char* name, bool abstract);
