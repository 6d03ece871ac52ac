// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "scenario.h"

union InternetAddress {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
};

// IP may be NULL for the wildcard address. Returns the address's length.
static socklen_t internet_address(union InternetAddress* address, int family, const char* ip,
                                  int port) {
  memset(address, 0, sizeof *address);
  address->any.sa_family = (sa_family_t)family;
  if (family == AF_INET) {
    address->v4.sin_port = htons((uint16_t)port);
    if (ip) inet_pton(family, ip, &address->v4.sin_addr);
    return sizeof address->v4;
  }
  address->v6.sin6_port = htons((uint16_t)port);
  if (ip) inet_pton(family, ip, &address->v6.sin6_addr);
  return sizeof address->v6;
}

static void set_flag(int descriptor, int level, int option) {
  int one = 1;
  CHECK(setsockopt(descriptor, level, option, &one, sizeof one));
}

int listen_tcp(int family, const char* ip, int port) {
  union InternetAddress address;
  socklen_t length = internet_address(&address, family, ip, port);
  int descriptor = socket(family, SOCK_STREAM, 0);
  set_flag(descriptor, SOL_SOCKET, SO_REUSEADDR);
  CHECK(bind(descriptor, &address.any, length));
  CHECK(listen(descriptor, 17));
  return descriptor;
}

int connect_tcp(int family, const char* ip, int port, int local_port, bool non_blocking) {
  union InternetAddress address;
  int descriptor = socket(family, SOCK_STREAM | (non_blocking ? SOCK_NONBLOCK : 0), 0);
  set_flag(descriptor, SOL_SOCKET, SO_REUSEADDR);
  if (local_port) {
    socklen_t local_length = internet_address(&address, family, NULL, local_port);
    CHECK(bind(descriptor, &address.any, local_length));
  }
  socklen_t length = internet_address(&address, family, ip, port);
  if (connect(descriptor, &address.any, length) < 0 && !(non_blocking && errno == EINPROGRESS))
    expect("FAILED connect %s:%d errno=%d", ip, port, errno);
  return descriptor;
}

int bind_udp(int family, const char* ip, int port) {
  union InternetAddress address;
  socklen_t length = internet_address(&address, family, ip, port);
  int descriptor = socket(family, SOCK_DGRAM, 0);
  if (family == AF_INET6) set_flag(descriptor, IPPROTO_IPV6, IPV6_V6ONLY);
  CHECK(bind(descriptor, &address.any, length));
  return descriptor;
}

void connect_udp(int descriptor, int family, const char* ip, int port) {
  union InternetAddress address;
  socklen_t length = internet_address(&address, family, ip, port);
  CHECK(connect(descriptor, &address.any, length));
}

// The length counts one NUL byte beside the name: at its end, or in front of an abstract one.
static socklen_t unix_address(struct sockaddr_un* address, const char* name, bool abstract) {
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  strncpy(address->sun_path + (abstract ? 1 : 0), name, sizeof address->sun_path - 2);
  return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name) + 1);
}

int bind_unix(int type, const char* name, bool abstract) {
  struct sockaddr_un address;
  socklen_t length = unix_address(&address, name, abstract);
  int descriptor = socket(AF_UNIX, type, 0);
  if (!abstract) unlink(name);
  CHECK(bind(descriptor, (struct sockaddr*)&address, length));
  return descriptor;
}

int listen_unix(int type, const char* name, bool abstract) {
  int descriptor = bind_unix(type, name, abstract);
  CHECK(listen(descriptor, 9));
  return descriptor;
}

int connect_unix(int type, const char* name, bool abstract) {
  struct sockaddr_un address;
  socklen_t length = unix_address(&address, name, abstract);
  int descriptor = socket(AF_UNIX, type, 0);
  CHECK(connect(descriptor, (struct sockaddr*)&address, length));
  return descriptor;
}
