// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
// TCP and UDP: a server and a client that leave sockets in as many states as two processes can.
#define _GNU_SOURCE
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "scenario.h"
#include "sockets.h"

// A client that says CLOSE is closed; any other is greeted and kept, and what it sent stays queued.
static void serve(int connection) {
  char request[8] = {0};
  struct timeval limit = {.tv_sec = 3};
  setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (recv(connection, request, 5, 0) == 5 && !memcmp(request, "CLOSE", 5))
    close(connection);
  else
    CHECK(send(connection, "SERVER-HELLO-UNREAD-QUEUE", 25, 0));
}

int run_network_server(int argc, char** argv) {
  (void)argc, (void)argv;
  int listeners[] = {
      listen_tcp(AF_INET, "127.0.0.1", 4444),
      listen_tcp(AF_INET, "0.0.0.0", 8080),
      listen_tcp(AF_INET6, "::1", 6666),
      listen_tcp(AF_INET6, "::", 8443),
  };
  listen_tcp(AF_INET, "10.77.0.1", 2222);
  bind_udp(AF_INET, "0.0.0.0", 5353);
  bind_udp(AF_INET, "127.0.0.1", 1514);
  bind_udp(AF_INET6, "::", 5454);
  bind_udp(AF_INET6, "::1", 1515);
  announce_ready("netsrv");

  int watcher = epoll_create1(0);
  for (size_t i = 0; i < sizeof listeners / sizeof *listeners; i++) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listeners[i]};
    CHECK(epoll_ctl(watcher, EPOLL_CTL_ADD, listeners[i], &event));
  }
  for (;;) {
    struct epoll_event event;
    if (epoll_wait(watcher, &event, 1, -1) == 1) serve(accept(event.data.fd, NULL, NULL));
  }
}

static int connect_and_say(int family, const char* ip, int port, int local_port,
                           const char* words) {
  int connection = connect_tcp(family, ip, port, local_port, false);
  CHECK(send(connection, words, strlen(words), 0));
  return connection;
}

static int say_by_udp(int family, const char* ip, int port, int local_port, const char* words) {
  int descriptor = bind_udp(family, ip, local_port);
  connect_udp(descriptor, family, ip, port);
  CHECK(send(descriptor, words, strlen(words), 0));
  return descriptor;
}

int run_network_client(int argc, char** argv) {
  (void)argc, (void)argv;
  int queued = connect_and_say(AF_INET, "127.0.0.1", 4444, 40001, "HELLOqueued-for-server-RXQ");
  int v6 = connect_and_say(AF_INET6, "::1", 6666, 40002, "HELLO6");
  // An IPv4 peer of an IPv6 socket: ::ffff:127.0.0.1 at the server.
  int mapped = connect_and_say(AF_INET, "127.0.0.1", 8443, 40003, "HELLOmapped");
  // The server closes, this side stays: CLOSE_WAIT here, FIN_WAIT2 there.
  int half_closed = connect_and_say(AF_INET, "127.0.0.1", 8080, 40004, "CLOSE");
  sleep_milliseconds(200);
  // The server closes first, then this side: TIME_WAIT at the server.
  int time_wait = connect_and_say(AF_INET, "127.0.0.1", 8080, 40005, "CLOSE");
  sleep_milliseconds(200);
  close(time_wait);
  // Forwarded by QEMU's user network to a program on the host: a connection off the machine.
  int remote = connect_and_say(AF_INET, "10.0.2.100", 7000, 40006, "to-guestfwd\n");
  // Nobody answers there: SYN_SENT.
  int unanswered = connect_tcp(AF_INET, "203.0.113.99", 9, 40007, true);
  int udp4 = say_by_udp(AF_INET, "127.0.0.1", 1514, 30001, "<13>udp queued syslog");
  int udp6 = say_by_udp(AF_INET6, "::1", 1515, 30002, "udp6");
  int unique_local = connect_and_say(AF_INET6, "fd00:77::1", 8443, 40008, "HELLOula");
  expect("net cli %d %d %d %d %d %d %d %d %d", queued, v6, mapped, half_closed, remote, unanswered,
         udp4, udp6, unique_local);
  announce_ready("netcli");
  sleep_forever();
}
