#!/usr/bin/env python3
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Takes members and structures out of the type information of a raw dump of 6.12, as if its kernel had been built with
other options: what such a kernel does not have is no damage.

options.py --engram PROGRAM --dump FOLDER
"""
import functools
import sys

from changed import run

# What is called so, and queries that have nothing to complain about without it.
OPTIONS = {
    "no ipv6": (("skc_v6_daddr", "skc_v6_rcv_saddr", "fib6_info", "ip6_ptr"),
                ("SELECT * FROM network_connections", "SELECT * FROM routes WHERE family = 'ipv4'",
                 "SELECT * FROM interface_addresses")),
    "no packet sockets": (("packet_sock",), ("SELECT * FROM network_connections", "SELECT * FROM sockets")),
    "no return probes": (("kretprobe",), ("SELECT * FROM kprobes",)),
    "no unloading": (("module_use", "refcnt", "source_list"), ("SELECT * FROM kernel_modules",)),
    "no namespaces": (("nd_net", "skc_net"), ("SELECT * FROM interfaces", "SELECT * FROM network_connections")),
}


@functools.cache
def types_of(path, start, size):
    """The BTF in the dump."""
    with open(path, "rb") as file:
        file.seek(start)
        return file.read(size)


def without(image, names):
    """Renames what is called so."""
    start, end = image.symbol("__start_BTF"), image.symbol("__stop_BTF")
    types = types_of(image.path, image.place(start), end - start)
    for name in names:
        image.write(start + types.index(b"\0" + name.encode() + b"\0") + 1, ord("Z"), 1)


def option(image, names, queries):
    """Nothing is missing of what the kernel has, and nobody complains."""
    before = [image.query(f"SELECT count(*) AS count FROM ({query})")[0]["count"] for query in queries]
    without(image, names)
    for query, count in zip(queries, before):
        code, error = image.strict(query)
        assert (code, error) == (0, ""), (query, code, error)
        after = image.query(f"SELECT count(*) AS count FROM ({query})")[0]["count"]
        assert count > 0 and (after == count or "ip6_ptr" in names and 0 < after <= count), (query, count, after)


def one_namespace(image):
    """Without namespaces everything is in the first one."""
    without(image, ("nd_net", "skc_net"))
    for table in ("network_connections", "sockets"):
        found = image.query(f"SELECT DISTINCT namespace FROM {table} WHERE namespace IS NOT NULL")
        assert found == [{"namespace": 4026531840}], (table, found)
    for table, key in (("interface_addresses", "device"), ("arp_cache", "device")):
        found = image.query(f"SELECT count(*) AS count FROM {table} AS t JOIN interfaces AS i"
                            f" ON i.virtual_address = t.{key} WHERE t.namespace IS NOT i.namespace")
        assert found == [{"count": 0}], (table, found)


def no_cgroups(image):
    """An error, not an empty table."""
    without(image, ("cgroups", "css_set", "cgrp_cset_link", "cgroup_root", "cgroup_subsys"))
    code, error = image.strict("SELECT * FROM cgroups")
    assert code == 1 and "it is built without them" in error, (code, error)
    assert image.strict("SELECT pid FROM tasks") == (0, "")


CASES = {name: functools.partial(option, names=names, queries=queries) for name, (names, queries) in OPTIONS.items()}
CASES["one namespace"] = one_namespace
CASES["no cgroups"] = no_cgroups


if __name__ == "__main__":
    sys.exit(run("options", __doc__, lambda image: CASES))
