#!/usr/bin/env python3
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Changes sockets in a copy of a raw dump as a rootkit or damage would, and looks at what engram says of them.

sockets.py --engram PROGRAM --dump FOLDER
"""
import sys

from changed import complaints, run

# struct sock_common on 64 bit with IPv6: the same from 5.10 to 7.2.
STATE, PORT_ADDRESS_NODE, NODE = 18, 24, 104
EHASH, EHASH_MASK, LHASH2, HASHINFO_SIZE = 0, 16, 64, 128  # in struct inet_hashinfo
HASHINFO_OF_NET = 896  # in struct net of 6.12, as the following
SOCKET, PROTOCOL, SOCK_SIZE = 288, 574, 2368  # in struct sock; that of struct tcp_sock
SOCK = 24  # in struct socket
NEW_SYN_RECV = 12
ESTABLISHED = "local_port = 40006"  # of a scenario's client


def connections(image):
    """Rows by address."""
    return {row["virtual_address"]: row for row in image.query("SELECT * FROM network_connections")}


def socket_where(image, condition, table="network_connections"):
    """Address of the only socket of its kind."""
    row, = image.query(f"SELECT virtual_address FROM {table} WHERE {condition}")
    return row["virtual_address"]


def hidden(image, condition, table="network_connections", nodes=(NODE,)):
    """A socket that is taken off its chains is still found by the process that has it."""
    address = socket_where(image, condition, table)
    before = {row["virtual_address"]: row for row in image.query(f"SELECT * FROM {table}")}
    for offset in nodes:
        node = int(address, 16) + offset
        following, pointer_to_it = image.read(node), image.read(node + 8)
        image.write(pointer_to_it, following)
    after = {row["virtual_address"]: row for row in image.query(f"SELECT * FROM {table}")}
    wanted = {**before, address: {**before[address], "source": "file"}}
    assert after == wanted, [row for key, row in after.items() if row != wanted.get(key)]
    assert not complaints(image, table), complaints(image, table)


def request(image):
    """A request is smaller than a sock: it has addresses, and nothing is read behind it."""
    address = socket_where(image, "state = 'time_wait'")
    before = connections(image)[address]
    image.write(int(address, 16) + STATE, NEW_SYN_RECV, 1)
    row = connections(image)[address]
    changed = {column for column in row if row[column] != before[column]}
    assert row["state"] == "new_syn_recv" and changed <= {"state", "uid"}, row


def loop(image):
    """A chain that leads back to its first node ends there, and the others are not harmed."""
    address = socket_where(image, ESTABLISHED)
    before = connections(image)
    node = int(address, 16) + NODE
    image.write(node, node)
    assert connections(image) == before
    (location, message), = complaints(image, "network_connections")
    assert location == "tcp_hashinfo.ehash" and "twice" in message, (location, message)


def nowhere(image):
    """A chain that leads out of memory ends there; only what cannot be read is missing."""
    address = socket_where(image, ESTABLISHED)
    before = connections(image)
    image.write(int(address, 16) + NODE, 0xFFFF_C8FF_0000_0000)
    assert connections(image) == before
    (location, message), = complaints(image, "network_connections")
    assert location == "tcp_hashinfo.ehash" and "not present" in message, (location, message)


def count(image):
    """A table whose size is nonsense is not read; what processes have open is still there."""
    before = connections(image)
    table, = image.query("SELECT addr(address_of('tcp_hashinfo')) AS place")
    image.write(int(table["place"], 16) + EHASH_MASK, 0xFFFF_FFFF, 4)
    after = connections(image)
    gone = [row for address, row in before.items() if address not in after]
    assert {row["state"] for row in gone} == {"time_wait", "fin_wait2"}, gone
    connected = [row for row in after.values() if row["state"] == "established" and row["protocol"] == "tcp"]
    assert {row["source"] for row in connected} == {"file"}, connected
    (location, message), = complaints(image, "network_connections")
    assert location == "tcp_hashinfo.ehash" and "4294967296" in message, (location, message)


def nothing(image, condition, source, places, locations):
    """Tables that are NULL, as no kernel has them, are a complaint each, and no empty tables."""
    before = {row["virtual_address"] for row in image.query(f"SELECT virtual_address FROM {source}")}
    for place in places:
        image.write(place, 0)
    found = image.query(f"SELECT virtual_address, source FROM {source} WHERE {condition}")
    assert found and {row["source"] for row in found} == {"file"} and len(found) < len(before), found
    told = complaints(image, source)
    assert sorted(location for location, _ in told) == sorted(locations), told
    assert all("NULL" in message for _, message in told), told
    code, error = image.strict(f"SELECT * FROM {source}")
    assert code == 1 and "lack something" in error, (code, error)


def no_tcp(image):
    """No tables of TCP."""
    table = image.symbol("tcp_hashinfo")
    nothing(image, "protocol = 'tcp'", "network_connections", (table + EHASH, table + LHASH2),
            ("inet_hashinfo.ehash", "inet_hashinfo.lhash2"))


def no_udp(image):
    """No tables of UDP."""
    table = image.symbol("udp_table")
    nothing(image, "protocol = 'udp'", "network_connections", (table, table + 8),
            ("udp_table.hash", "udp_table.hash2"))


def no_netlink(image):
    """No table of netlink, and one that has no buckets."""
    table = image.symbol("nl_table")
    nothing(image, "family = 'netlink'", "sockets", (table,), ("nl_table",))
    image.restore()
    image.write(image.read(table), 0)
    (location, message), = complaints(image, "sockets")
    assert location == "rhashtable.tbl" and "NULL" in message, (location, message)


def own_connections(image):
    """A namespace with a table of connections of its own (tcp_child_ehash_entries) shares that of listening sockets."""
    before = connections(image)
    spare, shared = image.spare(1 << 20), image.symbol("tcp_hashinfo")
    first = image.symbol("init_net")
    other = next(net for net in (int(row["net"], 16) for row in image.query("SELECT DISTINCT net FROM interfaces"))
                 if net != first)
    assert image.read(other + HASHINFO_OF_NET) == shared
    image.write(spare, image.read(shared, HASHINFO_SIZE), HASHINFO_SIZE)
    buckets, empty = spare + 0x1000, b"".join((2 * number + 1).to_bytes(8, "little") for number in range(16))
    image.write(buckets, int.from_bytes(empty, "little"), len(empty))
    image.write(spare + EHASH, buckets)
    image.write(spare + EHASH_MASK, 15, 4)
    image.write(other + HASHINFO_OF_NET, spare)
    assert connections(image) == before
    assert image.strict("SELECT * FROM network_connections") == (0, "")


def put_in_front(image, state, protocol):
    """A stream socket of another protocol that has the file of a connection, as that of MPTCP has its subflows'."""
    row, = image.query(f"SELECT * FROM network_connections WHERE {ESTABLISHED}")
    at, spare = int(row["virtual_address"], 16), image.spare(1 << 20)
    image.write(spare, image.read(at, SOCK_SIZE), SOCK_SIZE)
    image.write(spare + STATE, state, 1)
    image.write(spare + PROTOCOL, protocol, 2)
    image.write(image.read(at + SOCKET) + SOCK, spare)
    return row, spare


def subflow(image):
    """The connection that MPTCP uses belongs to who has the socket of MPTCP."""
    row, front = put_in_front(image, 1, 262)
    assert row["pid"] is not None and row["source"] == "both", row
    after, = image.query(f"SELECT * FROM network_connections WHERE {ESTABLISHED}")
    assert after == {**row, "source": "hash"}, after
    found, = image.query("SELECT * FROM sockets WHERE protocol = 'mptcp'")
    wanted = {"virtual_address": f"0x{front:x}", "pid": row["pid"], "source": "file", "state": "established"}
    assert {key: found[key] for key in wanted} == wanted, found


def not_listening(image):
    """A socket of SCTP is in listening_ports while it listens, and else not."""
    for state, is_found in ((10, True), (7, False), (1, False)):
        _, front = put_in_front(image, state, 132)
        image.write(front, 0)  # no remote address
        image.write(front + 12, 0, 2)  # and no port
        found = image.query("SELECT virtual_address FROM listening_ports WHERE protocol = 132")
        assert [row["virtual_address"] for row in found] == [f"0x{front:x}"] * is_found, (state, found)
        image.restore()


CASES = {
    "hidden tcp": lambda image: hidden(image, ESTABLISHED),
    "hidden udp": lambda image: hidden(image, "local_port = 1514", nodes=(NODE, PORT_ADDRESS_NODE)),
    "hidden unix": lambda image: hidden(image, "local_address = '@lab-seq'", "sockets"),
    "request": request, "loop": loop, "nowhere": nowhere, "count": count,
    "no tcp": no_tcp, "no udp": no_udp, "no netlink": no_netlink, "own connections": own_connections,
    "subflow": subflow, "not listening": not_listening,
}


if __name__ == "__main__":
    sys.exit(run("sockets", __doc__, lambda image: CASES))
