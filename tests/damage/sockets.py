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
EHASH_MASK = 16  # in struct inet_hashinfo
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


CASES = {
    "hidden tcp": lambda image: hidden(image, ESTABLISHED),
    "hidden udp": lambda image: hidden(image, "local_port = 1514", nodes=(NODE, PORT_ADDRESS_NODE)),
    "hidden unix": lambda image: hidden(image, "local_address = '@lab-seq'", "sockets"),
    "request": request, "loop": loop, "nowhere": nowhere, "count": count,
}


if __name__ == "__main__":
    sys.exit(run("sockets", __doc__, lambda image: CASES))
