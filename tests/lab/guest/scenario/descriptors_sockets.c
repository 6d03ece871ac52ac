// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
// Descriptors of sockets other than TCP and UDP (those are in network.c), and lab-fds itself.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/vm_sockets.h>
#include <mqueue.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "descriptors.h"
#include "scenario.h"
#include "sockets.h"

void open_unix_sockets(void) {
  int listener = listen_unix(SOCK_STREAM, "/run/lab/stream.sock", false);
  int client = connect_unix(SOCK_STREAM, "/run/lab/stream.sock", false);
  int accepted = accept(listener, NULL, NULL);
  CHECK(write(client, "UNIX-STREAM-QUEUED", 18));
  expect("fd unix_stream listen %d client %d accepted %d", listener, client, accepted);

  listener = listen_unix(SOCK_STREAM, "lab-abstract-stream", true);
  client = connect_unix(SOCK_STREAM, "lab-abstract-stream", true);
  accepted = accept(listener, NULL, NULL);
  expect("fd unix_abstract listen %d client %d accepted %d", listener, client, accepted);

  int receiver = bind_unix(SOCK_DGRAM, "/run/lab/dgram.sock", false);
  int sender = connect_unix(SOCK_DGRAM, "/run/lab/dgram.sock", false);
  expect("fd unix_dgram %d %d", receiver, sender);
  bind_unix(SOCK_DGRAM, "lab-abstract-dgram", true);
  listen_unix(SOCK_SEQPACKET, "lab-seq", true);

  int pair[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  expect("fd socketpair %d %d", pair[0], pair[1]);
}

// Nobody reads these sockets: a filter that drops everything keeps their queues empty.
static void drop_everything(int descriptor) {
  struct sock_filter drop[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
  struct sock_fprog program = {1, drop};
  CHECK(setsockopt(descriptor, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program));
}

static int bind_netlink(int type, int protocol) {
  int descriptor = socket(AF_NETLINK, type, protocol);
  struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = 1};
  CHECK(bind(descriptor, (struct sockaddr*)&address, sizeof address));
  return descriptor;
}

void open_raw_sockets(void) {
  int every_packet = (int)CHECK(socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)));
  int loopback_arp = (int)CHECK(socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_ARP)));
  struct sockaddr_ll link = {.sll_family = AF_PACKET,
                             .sll_protocol = htons(ETH_P_ARP),
                             .sll_ifindex = (int)if_nametoindex("lo")};
  CHECK(bind(loopback_arp, (struct sockaddr*)&link, sizeof link));
  expect("fd packet %d %d", every_packet, loopback_arp);
  drop_everything(every_packet);
  drop_everything(loopback_arp);

  int icmp = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
  int icmp6 = socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6);
  expect("fd raw %d %d", icmp, icmp6);

  int routes = bind_netlink(SOCK_RAW, NETLINK_ROUTE);
  int device_events = bind_netlink(SOCK_DGRAM, NETLINK_KOBJECT_UEVENT);
  expect("fd netlink %d %d", routes, device_events);
}

void open_message_queue_and_vsock(void) {
  struct mq_attr limits = {.mq_maxmsg = 4, .mq_msgsize = 64};
  mqd_t queue = (mqd_t)CHECK(mq_open("/lab-mq", O_CREAT | O_RDWR, 0600, &limits));
  CHECK(mq_send(queue, "MQ-MESSAGE-99", 13, 3));
  expect("fd mqueue %d", (int)queue);

  int vsock = socket(AF_VSOCK, SOCK_STREAM, 0);
  if (vsock < 0) return;  // a kernel flavour without the module
  struct sockaddr_vm address = {
      .svm_family = AF_VSOCK, .svm_port = 4711, .svm_cid = VMADDR_CID_ANY};
  CHECK(bind(vsock, (struct sockaddr*)&address, sizeof address));
  CHECK(listen(vsock, 3));
  expect("fd vsock %d", vsock);
}

int run_descriptors(int argc, char** argv) {
  (void)argc, (void)argv;
  open_files();
  struct AnonymousDescriptors anonymous = open_anonymous();
  open_bpf_and_perf();
  open_unix_sockets();
  open_raw_sockets();
  open_message_queue_and_vsock();
  // Numbers beyond the first descriptor table (64 entries) and far beyond it.
  CHECK(dup2(anonymous.memfd, 900));
  for (int number = 63; number <= 65; number++) CHECK(dup2(anonymous.eventfd, number));
  expect("fd dup 900=memfd 63,64,65=eventfd");
  announce_ready("fds");
  sleep_forever();
}
