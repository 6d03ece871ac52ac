# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
# Interfaces, addresses, routes (network.ip) and a packet filter.
[ -e /dev/net/tun ] || { mkdir -p /dev/net; mknod /dev/net/tun c 10 200; }
ip -force -batch /etc/network.ip || missing ip
nft -f /etc/nftables.conf || missing nft
