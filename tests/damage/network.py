#!/usr/bin/env python3
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Changes interfaces, addresses, neighbours and routes in a copy of a raw dump of 6.12, and looks at what engram says.

Some changes are damage; others add what the lab's machines do not have, as the kernel would.

network.py --engram PROGRAM --dump FOLDER
"""
import ipaddress
import sys
import time

from changed import complaints, run

# Offsets in Debian's 6.12 (BTF of its vmlinux).
DEV_LIST, ADDRESS_LENGTH, MACS = 360, 864, 952  # in struct net_device
MAC = 40  # in struct netdev_hw_addr
NEXT_ADDRESS = 16  # in struct in_ifaddr
BUCKETS, PROXY_BUCKETS = 584, 592  # in struct neigh_table
SHIFT = 8  # in struct neigh_hash_table
PROXY_NET, PROXY_DEVICE, PROXY_FLAGS, PROXY_KEY = 8, 16, 24, 32  # in struct pneigh_entry
MAIN4, HASH4, MAIN6 = 1072, 1104, 2016  # in struct net
TRIE, ROOT6 = 40, 24  # in struct fib_table, fib6_table
BITS, CHILDREN = 5, 8  # in struct key_vector
INFO, SUFFIX = 16, 27  # in struct fib_alias
HOP_COUNT, OBJECT = 96, 104  # in struct fib_info
LEFT, RIGHT, NEXT_ROUTE = 8, 16, 8  # in struct fib6_node, fib6_node, fib6_info
OBJECT_ID, IS_GROUP, OBJECT_INFO = 96, 102, 128  # in struct nexthop
HOP_IN_OBJECT = 32  # in struct nh_info
GATEWAY_FAMILY, GATEWAY = 14, 24  # in struct fib_nh_common
MEMBER_COUNT, MEMBERS, MEMBER_WEIGHT, MEMBER_PARENT, MEMBER_SIZE = 8, 24, 16, 64, 80  # in struct nh_group, nh_grp_entry
ALIAS_SIZE = 64
NOWHERE = 0xFFFF_C8FF_0000_0000


def symbol(image, name):
    """Address of a symbol."""
    return int(image.query(f"SELECT addr(address_of('{name}')) AS place")[0]["place"], 16)


def rows(image, table, columns="*"):
    """Rows by address and, of routes, their next hop."""
    return {(row["virtual_address"], row.get("device"), row.get("gateway"), row.get("ip_address")): row
            for row in image.query(f"SELECT {columns} FROM {table}")}


def one(image, table, condition):
    """Address of the only object of its kind."""
    row, = image.query(f"SELECT virtual_address FROM {table} WHERE {condition}")
    return int(row["virtual_address"], 16)


def missing(before, after):
    """What is not there any more; the others are as they were."""
    assert after.items() <= before.items(), [row for key, row in after.items() if before.get(key) != row]
    return [row for key, row in before.items() if key not in after]


def only_complaint(image, table):
    """Location and message of the only one."""
    found = complaints(image, table)
    assert len(found) == 1, found
    return found[0]


def interface_loop(image):
    """A list of interfaces that leads back to itself ends there."""
    before = rows(image, "interfaces")
    node = one(image, "interfaces", "name = 'br0'") + DEV_LIST
    image.write(node, node)
    gone = missing(before, rows(image, "interfaces"))
    assert {row["name"] for row in gone} == {"tun7", "veth-a"}, gone
    location, message = only_complaint(image, "interfaces")
    assert location == "net.dev_base_head" and "comes back" in message, (location, message)


def address_length(image):
    """A hardware address of a length that there is not is NULL."""
    before = rows(image, "interfaces")
    device = one(image, "interfaces", "name = 'dummy0'")
    image.write(device + ADDRESS_LENGTH, 200, 1)
    after = rows(image, "interfaces")
    changed = {column for key, row in after.items() for column in row if row[column] != before[key][column]}
    assert changed == {"active_mac_address", "broadcast_mac_address"}, changed
    assert all("200 bytes, at most 32" in message for _, message in complaints(image, "interfaces"))


def additional_mac(image):
    """Another hardware address of an interface, as the kernel keeps it."""
    before = rows(image, "network_interfaces")
    device, spare = one(image, "interfaces", "name = 'eth0'"), symbol(image, "__log_buf")
    head = device + MACS
    image.write(spare, image.read(head))
    image.write(spare + 8, head)
    image.write(spare + MAC, int.from_bytes(bytes.fromhex("02aabbccddee"), "little"), 6)
    image.write(head, spare)
    after = rows(image, "network_interfaces")
    of_it = [row for row in after.values() if row["name"] == "eth0"]
    assert len(after) == len(before) and len(of_it) == 4, of_it
    assert {row["additional_mac_address"] for row in of_it} == {"02:aa:bb:cc:dd:ee"}, of_it


def address_loop(image):
    """A list of addresses that leads back to itself ends there."""
    before = rows(image, "interface_addresses")
    address = one(image, "interface_addresses", "address = '172.31.5.5'")
    image.write(address + NEXT_ADDRESS, address)
    gone = missing(before, rows(image, "interface_addresses"))
    assert [row["address"] for row in gone] == ["10.77.0.2"], gone
    location, message = only_complaint(image, "interface_addresses")
    assert location == "in_ifaddr.ifa_next" and "comes back" in message, (location, message)


def neighbour_count(image):
    """A table whose size is nonsense is not read; that of the other family is not harmed."""
    before = rows(image, "arp_cache")
    image.write(image.read(symbol(image, "arp_tbl") + BUCKETS) + SHIFT, 0xFFFF_FFFF, 4)
    gone = missing(before, rows(image, "arp_cache"))
    assert {row["family"] for row in gone} == {"ipv4"} and len(gone) < len(before), gone
    location, message = only_complaint(image, "arp_cache")
    assert location == "neigh_hash_table.hash_shift" and "4294967295" in message, (location, message)


def neighbour_nowhere(image):
    """A chain that leads out of memory ends there."""
    before = rows(image, "arp_cache")
    image.write(one(image, "arp_cache", "address = '10.0.2.200'"), NOWHERE)
    missing(before, rows(image, "arp_cache"))
    location, message = only_complaint(image, "arp_cache")
    assert location == "arp_tbl" and "not present" in message, (location, message)


def proxy(image):
    """An address for which the machine answers, as the kernel keeps it."""
    before = rows(image, "arp_cache")
    spare, net = symbol(image, "__log_buf"), symbol(image, "init_net")
    image.write(spare, 0, 64)
    image.write(spare + PROXY_NET, net)
    image.write(spare + PROXY_DEVICE, one(image, "interfaces", "name = 'eth0'"))
    image.write(spare + PROXY_KEY, int.from_bytes(ipaddress.ip_address("10.0.2.77").packed, "little"), 4)
    image.write(image.read(symbol(image, "arp_tbl") + PROXY_BUCKETS) + 3 * 8, spare)
    after = rows(image, "arp_cache")
    row, = missing(after, before)
    wanted = {"family": "ipv4", "address": "10.0.2.77", "mac": None, "interface": "eth0", "state": None,
              "permanent": None, "flags": "proxy", "namespace": 4026531840, "ifindex": 2}
    assert {column: row[column] for column in wanted} == wanted, row


def trie(image):
    """The root of the first namespace's trie."""
    table = image.read(symbol(image, "init_net") + MAIN4)
    return image.read(image.read(table + TRIE) + CHILDREN)


def trie_loop(image):
    """A trie that leads back to its root ends there."""
    before = rows(image, "routes")
    root = trie(image)
    image.write(root + CHILDREN, root)
    gone = missing(before, rows(image, "routes"))
    assert gone and {row["family"] for row in gone} == {"ipv4"} and len(gone) < len(before), gone
    location, message = only_complaint(image, "routes")
    assert location == "key_vector" and "twice" in message, (location, message)


def trie_bits(image):
    """A node with more children than a key has bits is not read; other tables are not harmed."""
    before = rows(image, "routes")
    image.write(trie(image) + BITS, 200, 1)
    gone = missing(before, rows(image, "routes"))
    assert {(row["family"], row["namespace"]) for row in gone} == {("ipv4", 4026531840)}, gone
    location, message = only_complaint(image, "routes")
    assert location == "key_vector" and "200 bits" in message, (location, message)


def route_values(image):
    """A route whose values cannot be true has none of them."""
    route = one(image, "routes", "destination = '203.0.113.0'")
    image.write(route + SUFFIX, 77, 1)
    image.write(route + INFO, NOWHERE)
    row, = image.query("SELECT * FROM routes WHERE destination = '203.0.113.0'")
    known = {"virtual_address", "family", "namespace", "table_name", "type", "destination", "tos"}
    assert {column for column, value in row.items() if value is not None} == known, row
    assert any("77, at most 32" in message for _, message in complaints(image, "routes"))


def hop_count(image):
    """A nonsensical number of next hops is none."""
    before = rows(image, "routes")
    info = image.read(one(image, "routes", "destination = '203.0.113.0'") + INFO)
    image.write(info + HOP_COUNT, 0xFFFF_FFFF, 4)
    after = rows(image, "routes")
    assert len(after) == len(before)
    row, = image.query("SELECT gateway, interface, metric FROM routes WHERE destination = '203.0.113.0'")
    assert row == {"gateway": None, "interface": None, "metric": 55}, row
    location, message = only_complaint(image, "routes")
    assert location == "fib_info.fib_nhs" and "4294967295" in message, (location, message)
    image.write(info + HOP_COUNT, 9000, 4)
    after = rows(image, "routes")
    assert after == before, f"a route that says it has 9000 next hops: {len(after)} rows"
    location, _ = only_complaint(image, "routes")
    assert location == "fib_nh.nh_parent", location


def nexthop_group(image):
    """A route with a group of nexthop objects, one of them with a gateway of IPv6, as the kernel keeps it."""
    route = one(image, "routes", "destination = '203.0.113.0'")
    group = symbol(image, "__log_buf")
    members = group + 0x200
    image.write(group, 0, 0x1000)
    image.write(group + OBJECT_ID, 7, 4)
    image.write(group + IS_GROUP, 1, 1)
    image.write(group + OBJECT_INFO, members)
    image.write(members + 8, 2, 2)
    hops = (("eth0", "10.0.2.7", 2, 1), ("dummy0", "fd00:77::7", 10, 3))
    for number, (interface, gateway, family, weight) in enumerate(hops):
        item, info = group + 0x400 + number * 0x100, group + 0x800 + number * 0x200
        hop = info + HOP_IN_OBJECT
        packed = ipaddress.ip_address(gateway).packed
        image.write(members + MEMBERS + number * MEMBER_SIZE, item)
        image.write(members + MEMBERS + number * MEMBER_SIZE + MEMBER_WEIGHT, weight, 2)
        image.write(members + MEMBERS + number * MEMBER_SIZE + MEMBER_PARENT, group)
        image.write(item + OBJECT_INFO, info)
        image.write(hop, one(image, "interfaces", f"name = '{interface}'"))
        image.write(hop + GATEWAY_FAMILY, family, 1)
        image.write(hop + GATEWAY, int.from_bytes(packed, "little"), len(packed))
    image.write(image.read(route + INFO) + OBJECT, group)
    found = image.query("SELECT interface, gateway, weight, nexthop_id FROM routes WHERE destination = '203.0.113.0'")
    assert found == [{"interface": interface, "gateway": gateway, "weight": weight, "nexthop_id": 7}
                     for interface, gateway, _, weight in hops], found
    image.write(members + MEMBER_COUNT, 9000, 2)
    again = image.query("SELECT interface, gateway, weight, nexthop_id FROM routes WHERE destination = '203.0.113.0'")
    assert again == found, f"a group that says it has 9000: {len(again)} rows"
    location, _ = only_complaint(image, "routes")
    assert location == "nh_grp_entry.nh_parent", location


def tree_loop(image):
    """A tree that leads back to its root ends there."""
    before = rows(image, "routes")
    root = image.read(symbol(image, "init_net") + MAIN6) + ROOT6
    node = image.read(root + RIGHT)
    image.write(node + LEFT, root)
    gone = missing(before, rows(image, "routes"))
    assert gone and {(row["family"], row["table_name"]) for row in gone} == {("ipv6", "main")}, gone
    location, message = only_complaint(image, "routes")
    assert location == "fib6_node" and "twice" in message, (location, message)


def route_loop(image):
    """A list of routes to one network that leads back to itself ends there."""
    before = rows(image, "routes")
    first = int(image.query("SELECT virtual_address FROM routes WHERE destination = 'fe80::' LIMIT 1")
                [0]["virtual_address"], 16)
    image.write(first + NEXT_ROUTE, first)
    gone = missing(before, rows(image, "routes"))
    assert len(gone) == 4 and {row["destination"] for row in gone} == {"fe80::"}, gone
    location, message = only_complaint(image, "routes")
    assert location == "fib6_info.fib6_next" and "comes back" in message, (location, message)


def no_neighbours(image):
    """A pointer that no kernel leaves NULL, as in a page that was dumped as zeros, is no empty table."""
    before = rows(image, "arp_cache")
    image.write(symbol(image, "arp_tbl") + BUCKETS, 0)
    gone = missing(before, rows(image, "arp_cache"))
    assert gone and {row["family"] for row in gone} == {"ipv4"}, gone
    location, message = only_complaint(image, "arp_cache")
    assert location == "neigh_table.nht" and "NULL" in message, (location, message)
    code, error = image.strict("SELECT * FROM arp_cache")
    assert code == 1 and "lack something" in error, (code, error)


def no_routes(image):
    """The same of a namespace's tables of routes; its other routes, and those of others, are there."""
    before = rows(image, "routes")
    image.write(symbol(image, "init_net") + HASH4, 0)
    gone = missing(before, rows(image, "routes"))
    assert {(row["family"], row["namespace"]) for row in gone} == {("ipv4", 4026531840)}, gone
    location, message = only_complaint(image, "routes")
    assert location == "net.ipv4.fib_table_hash" and "NULL" in message, (location, message)


def namespaces(image):
    """Without the list of namespaces there is still the first one, which is no matter of the list."""
    tables = ("interfaces", "interface_addresses", "network_interfaces", "routes")
    before = {table: image.query(f"SELECT * FROM {table}") for table in tables}
    of_first = {row["ifindex"] for row in before["interfaces"] if row["namespace"] == 4026531840}
    for value, reason in ((NOWHERE, "not present"), (0, "NULL")):
        image.write(symbol(image, "net_namespace_list"), value)
        for table in tables:
            after = image.query(f"SELECT * FROM {table}")
            assert 0 < len(after) < len(before[table]) and all(row in before[table] for row in after), table
            told = complaints(image, table)
            assert told and all(place == "net_namespace_list" and reason in message for place, message in told), told
        assert {row["ifindex"] for row in image.query("SELECT ifindex FROM interfaces")} == of_first
        image.restore()


def many_hops(image):
    """Routes that share a group of as many next hops as there can be: the walk ends where there are too many, or where
    the time is over."""
    aliases, hops = 20_000, 1 << 14
    start = image.spare(4 << 20)
    info, group = start + (2 << 20), start + (2 << 20) + 0x1000
    members = group + 0x1000
    chain = b"".join((start + ALIAS_SIZE * (number + 1) if number + 1 < aliases else 0).to_bytes(8, "little")
                     + bytes(8) + info.to_bytes(8, "little") + bytes(ALIAS_SIZE - 24) for number in range(aliases))
    image.write(start, int.from_bytes(chain, "little"), len(chain))
    image.write(info + OBJECT, group)
    image.write(group + IS_GROUP, 1, 1)
    image.write(group + OBJECT_INFO, members)
    image.write(members + MEMBER_COUNT, hops, 2)
    entry = bytes(MEMBER_PARENT) + group.to_bytes(8, "little") + bytes(MEMBER_SIZE - MEMBER_PARENT - 8)
    image.write(members + MEMBERS, int.from_bytes(entry * hops, "little"), hops * MEMBER_SIZE)
    image.write(one(image, "routes", "destination = '203.0.113.0'"), start)
    location, message = image.query("CREATE TEMP TABLE t AS SELECT count(*) FROM routes;"
                                    " SELECT location, message FROM diagnostics WHERE level <= 2")[0].values()
    assert location == "routes" and "more than 4194304" in message, (location, message)
    begin = time.monotonic()
    code, error = image.strict("SELECT 1 FROM routes LIMIT 1", "--timeout", "0.01")
    middle = time.monotonic()
    assert (code, error) == (1, "engram: not answered within 0.01 s\n"), (code, error)
    code, error = image.strict("SELECT 1 FROM routes LIMIT 1")
    assert code == 1 and "lack something" in error and middle - begin < (time.monotonic() - middle) / 2, (code, error)


CASES = {
    "interface loop": interface_loop, "address length": address_length, "additional mac": additional_mac,
    "address loop": address_loop, "neighbour count": neighbour_count, "neighbour nowhere": neighbour_nowhere,
    "proxy": proxy, "trie loop": trie_loop, "trie bits": trie_bits, "route values": route_values,
    "hop count": hop_count, "nexthop group": nexthop_group, "tree loop": tree_loop, "route loop": route_loop,
    "no neighbours": no_neighbours, "no routes": no_routes, "namespaces": namespaces, "many hops": many_hops,
}


if __name__ == "__main__":
    sys.exit(run("network", __doc__, lambda image: CASES))
