# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Interfaces, addresses, neighbours and routes, against ip(8), /proc/net and /sys/class/net.

ip and /sys know the first network namespace only; of the others there is what their /proc/net says.
"""
import ipaddress
import re

from check_sockets import by_address, namespaces
from program import Comparison

KINDS = ("unicast", "local", "broadcast", "multicast", "anycast", "blackhole", "unreachable", "prohibit", "throw")
HAS_GATEWAY, REJECTS, NO_NEXT_HOP = 0x2, 0x200, 0x200000  # RTF_*
NO_ROUTE = 0xFFFFFFFF  # metric of the entry that stands for "no route"


def hardware_address(text):
    """None where there is none, as for lo and tun."""
    return None if not text or set(text) <= set("0:") else text


def first_namespace(truth):
    """Its inode number."""
    return namespaces(truth)[0][0]


def interfaces(program, truth):
    """Every interface of ip link, and of /proc/net/dev in the other namespaces, with all that ip and sysfs tell of it."""
    result = Comparison()
    result.rows = program.query("SELECT *, type_number, list_head FROM interfaces")
    by_address(result, result.rows)
    ours = {(row["namespace"], row["name"]): row for row in result.rows}
    listed = set()
    for inode, net in namespaces(truth):
        listed |= {(inode, line.split(":")[0].strip()) for line in net["text"]["dev"].splitlines()[2:]}
    result.equal("interfaces of all namespaces", sorted(ours), sorted(listed))
    first = first_namespace(truth)
    for theirs in truth["interfaces"]:
        row = ours[first, theirs["ifname"]]
        sysfs = truth["interfaces_sysfs"][theirs["ifname"]]
        for column, kernels in of_interface(theirs, sysfs).items():
            result.equal(f"{row['name']} {column}", row[column], kernels)
        # What lies in another namespace has a number there and no name here.
        if "link" in theirs:
            result.equal(f"{row['name']} link_name", row["link_name"], theirs["link"])
    heads = program.query("SELECT DISTINCT namespace, net, list_head FROM interfaces")
    result.equal("a list for each namespace", len(heads), len(truth["net"]))
    init_net = next(address for address, _, name, _ in truth.kallsyms() if name == "init_net")
    result.equal("first namespace", {row["net"] for row in result.rows if row["namespace"] == first}, {hex(init_net)})
    return result


def of_interface(theirs, sysfs):
    """The columns that ip -d address and /sys/class/net/NAME have."""
    flags = theirs["flags"]
    link = int(sysfs["iflink"])
    return {
        "ifindex": theirs["ifindex"], "mtu": theirs["mtu"], "flags": ",".join(flags),
        "operstate": theirs["operstate"], "state": "up" if "UP" in flags and "NO-CARRIER" not in flags else "down",
        "type": theirs["link_type"], "type_number": int(sysfs["type"]),
        "active_mac_address": hardware_address(theirs.get("address")),
        "broadcast_mac_address": hardware_address(theirs.get("broadcast")),
        "additional_mac_addresses": None,
        # The only one of hardware; ip shows this address where it is not the active one.
        "physical_mac_address": theirs.get("permaddr", theirs["address"] if theirs["ifname"] == "eth0" else None),
        "kind": theirs.get("linkinfo", {}).get("info_kind"), "master_name": theirs.get("master"),
        "link_index": link if link != theirs["ifindex"] else None,
        "alias": theirs.get("ifalias"), "alternative_names": " ".join(theirs.get("altnames", ())) or None,
        "group_number": {"default": 0}[theirs["group"]], "promiscuity": theirs["promiscuity"],
        "qdisc": theirs["qdisc"], "tx_queue_length": theirs["txqlen"],
    }


def interface_addresses(program, truth):
    """Every address of ip address; of the other namespaces those of if_inet6, and the local ones of fib_trie."""
    result = Comparison()
    result.rows = program.query("SELECT *, flag_bits FROM interface_addresses")
    by_address(result, result.rows)
    first = first_namespace(truth)
    columns = ("interface", "ifindex", "family", "address", "prefix_length", "broadcast", "point_to_point", "scope",
               "label", "flags")
    ours = [tuple(row[column] for column in columns) for row in result.rows if row["namespace"] == first]
    result.equal("ip address", ours, [of_address(link, one) for link in truth["interfaces"] for one in link["addr_info"]])
    for row in result.rows:
        mask = str(ipaddress.ip_network(f"0.0.0.0/{row['prefix_length']}").netmask) if row["family"] == "ipv4" else \
            str(row["prefix_length"])
        result.equal(f"{row['address']} mask", row["mask"], mask)
    for inode, net in namespaces(truth):
        rows = [row for row in result.rows if row["namespace"] == inode]
        six = [(int(ipaddress.ip_address(row["address"])), row["ifindex"], row["prefix_length"], row["flag_bits"] & 0xFF,
                row["interface"]) for row in rows if row["family"] == "ipv6"]
        lines = [line.split() for line in net["text"]["if_inet6"].splitlines()]
        result.equal(f"if_inet6 of {inode}", sorted(six), sorted(
            (int(address, 16), int(index, 16), int(length, 16), int(flags, 16), name)
            for address, index, length, _, flags, name in lines))
        four = {row["address"] for row in rows if row["family"] == "ipv4"}
        result.equal(f"local addresses of {inode}", sorted(four),
                     sorted(set(re.findall(r"\|-- (\S+)\n +/32 host LOCAL", net["text"]["fib_trie"]))))
    return result


def of_address(link, one):
    """An address of ip -j address as a row of ours."""
    is_ipv4 = one["family"] == "inet"
    words = ("secondary", "temporary", "dynamic", "nodad", "optimistic", "dadfailed", "home", "deprecated", "tentative",
             "mngtmpaddr", "noprefixroute", "autojoin", "stable-privacy")
    return (link["ifname"], link["ifindex"], "ipv4" if is_ipv4 else "ipv6", one["local"], one["prefixlen"],
            one.get("broadcast"), one.get("address"), one["scope"], one.get("label"),
            ",".join(word for word in words if one.get(word)))


def network_interfaces(program, truth):
    """The interfaces and their addresses in one: names, hardware and IP addresses, masks and states of ip address."""
    result = Comparison()
    result.rows = program.query("SELECT * FROM network_interfaces")
    first = first_namespace(truth)
    columns = ("name", "active_mac_address", "additional_mac_address", "ip_type", "ip_address", "mask", "state")
    ours = [tuple(row[column] for column in columns) for row in result.rows if row["namespace"] == first]
    theirs = []
    for link in truth["interfaces"]:
        up = "UP" in link["flags"] and "NO-CARRIER" not in link["flags"]
        for one in link["addr_info"] or [None]:
            address = one and ipaddress.ip_interface(f"{one['local']}/{one['prefixlen']}")
            theirs.append((link["ifname"], hardware_address(link.get("address")), None,
                           f"ipv{address.version}" if one else None, one and one["local"],
                           one and (str(address.netmask) if address.version == 4 else str(one["prefixlen"])),
                           "up" if up else "down"))
    result.equal("ip address", ours, theirs)
    names = {(row["namespace"], row["name"]) for row in result.rows}
    for inode, net in namespaces(truth):
        listed = sorted(line.split(":")[0].strip() for line in net["text"]["dev"].splitlines()[2:])
        result.equal(f"interfaces of {inode}", sorted(name for number, name in names if number == inode), listed)
    result.equal("without an address", [row["name"] for row in result.rows if row["ip_address"] is None], ["veth-b"])
    return result


def arp_cache(program, truth):
    """The neighbours of ip neigh, which leaves out those without a protocol, and /proc/net/arp of each namespace."""
    result = Comparison()
    result.rows = program.query("SELECT * FROM arp_cache")
    by_address(result, result.rows)
    shown = [row for row in result.rows if row["state"] not in ("NOARP", "NONE")]
    result.equal("flags are of routers", {row["flags"] for row in shown}, {"", "router"})
    ours = [f"{row['address']} dev {row['interface']} lladdr {row['mac']} {row['flags']} {row['state']}".split()
            for row in shown if row["namespace"] == first_namespace(truth)]
    theirs = [line.split() for line in truth["commands"]["ip_neigh"].splitlines()]
    # A neighbour that was reachable is stale when nobody has asked for half a minute, perhaps only since ip wrote this.
    for mine, kernels in zip(ours, theirs):
        if (mine[-1], kernels[-1]) == ("STALE", "REACHABLE"):
            kernels[-1] = "STALE"
    result.equal("ip neigh", ours, theirs)
    for inode, net in namespaces(truth):
        lines = [line.split() for line in net["text"]["arp"].splitlines()[1:]]
        kernels = [(address, mac, name, "1" if int(flags, 16) & 0x4 else "0")
                   for address, _, flags, mac, _, name in lines]
        result.equal(f"arp of {inode}", [
            (row["address"], row["mac"], row["interface"], row["permanent"]) for row in shown
            if row["namespace"] == inode and row["family"] == "ipv4"], kernels)
    return result


def routes(program, truth):
    """The routes of ip route, and those of route, fib_trie and ipv6_route in each namespace."""
    result = Comparison()
    result.rows = program.query("SELECT *, table_number FROM routes")
    by_address(result, result.rows)  # the scenario has none with several next hops
    columns = ("family", "table_name", "type", "destination", "prefix_length", "gateway", "interface", "source", "metric",
               "protocol", "scope", "flags")
    first = first_namespace(truth)
    ours = sorted(str(tuple(row[column] for column in columns)) for row in result.rows if row["namespace"] == first)
    lines = truth["commands"]["ip_route"].splitlines()
    result.equal("ip route", ours, sorted(str(of_route(line)) for line in lines))
    for inode, net in namespaces(truth):
        rows = [row for row in result.rows if row["namespace"] == inode]
        result.equal(f"route of {inode}", sorted(map(main_route, filter(in_main, rows))),
                     sorted(map(proc_route, net["text"]["route"].splitlines()[1:])))
        result.equal(f"fib_trie of {inode}", fib_trie(rows), proc_fib_trie(net["text"]["fib_trie"]))
        result.equal(f"ipv6_route of {inode}", sorted(ipv6_route(row) for row in rows if row["family"] == "ipv6"),
                     sorted(filter(None, map(proc_ipv6_route, net["text"]["ipv6_route"].splitlines()))))
    result.equal("nexthop objects", {row["nexthop_id"] for row in result.rows}, {None})
    return result


def of_route(line):
    """A line of ip route show table all as a row of ours; what is left out there has its default."""
    words = line.split()
    kind = words.pop(0) if words[0] in KINDS else "unicast"
    destination = words.pop(0)
    is_ipv6 = "pref" in words
    flags = [word for word in ("dead", "onlink", "linkdown") if word in words]
    said = dict(zip(words, words[1:]))
    network = ipaddress.ip_network({"default": "::/0" if is_ipv6 else "0.0.0.0/0"}.get(destination, destination))
    return ("ipv6" if is_ipv6 else "ipv4", said.get("table", "main"), kind, str(network.network_address),
            network.prefixlen, said.get("via"), said.get("dev"), said.get("src"), int(said.get("metric", 0)),
            said.get("proto", "boot"), said.get("scope", "global"), ",".join(flags))


def in_main(row):
    """Whether /proc/net/route has it."""
    return row["family"] == "ipv4" and row["table_number"] in (254, 253) and row["type"] != "broadcast"


def main_route(row):
    """A row as /proc/net/route tells it."""
    return (row["interface"] or "*", row["destination"], row["gateway"] or "0.0.0.0", row["metric"],
            row["prefix_length"])


def proc_route(line):
    """A line of /proc/net/route: addresses are words of the machine."""
    name, destination, gateway, _, _, _, metric, mask, *_ = line.split()
    address = lambda word: str(ipaddress.ip_address(bytes.fromhex(word)[::-1]))
    return name, address(destination), address(gateway), int(metric), bin(int(mask, 16)).count("1")


def fib_trie(rows):
    """The routes of IPv4 as fib_trie tells them; it does not say which table one is in."""
    scopes = {"global": "universe"}
    return sorted((row["destination"], row["prefix_length"], scopes.get(row["scope"], row["scope"]), row["type"].upper())
                  for row in rows if row["family"] == "ipv4")


def proc_fib_trie(text):
    """Both of the first tables are one trie, which is printed twice, or are told apart by rules."""
    tables = []
    for line in text.splitlines():
        words = line.split()
        if not line.startswith(" "):
            tables.append([])
        elif words[0] == "|--":
            destination = words[1]
        elif words[0].startswith("/"):
            tables[-1].append((destination, int(words[0][1:]), words[1], words[2]))
    assert all(table == tables[0] for table in tables)
    return sorted(tables[0])


def ipv6_route(row):
    """A row as /proc/net/ipv6_route tells it."""
    number = lambda text: int(ipaddress.ip_address(text)) if text else 0
    return (number(row["destination"]), row["prefix_length"], number(row["gateway"]), row["metric"], row["interface"],
            row["gateway"] is not None)


def proc_ipv6_route(line):
    """A line of /proc/net/ipv6_route; None for the entry that stands for "no route"."""
    destination, length, _, _, gateway, metric, _, _, flags, name = line.split()
    if int(metric, 16) == NO_ROUTE and int(flags, 16) == REJECTS | NO_NEXT_HOP:
        return None
    return (int(destination, 16), int(length, 16), int(gateway, 16), int(metric, 16), name,
            int(flags, 16) & HAS_GATEWAY != 0)
