# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Sockets of every network namespace, against /proc/net, /proc/PID/fd and ss."""
import ipaddress
import re

from program import Comparison

COLLECTOR = "labtruth"
CONNECTIONS = {"tcp": ("tcp", "ipv4"), "tcp6": ("tcp", "ipv6"), "udp": ("udp", "ipv4"), "udp6": ("udp", "ipv6")}
UNIX_TYPES = {1: "stream", 2: "dgram", 5: "seqpacket"}
LISTENS = 0x10000  # __SO_ACCEPTCON
CONNECTED = 3  # SS_CONNECTED


def same_address(text):
    """One spelling for ::ffff:127.0.0.1 and ::ffff:7f00:1."""
    return text and ipaddress.ip_address(text)


def namespaces(truth):
    """(inode number, what /proc/net said there)."""
    return [(int(re.search(r"\d+", net["netns"])[0]), net) for net in truth["net"]]


def table(text):
    """A file of /proc/net with a line of names as dictionaries."""
    lines = text.splitlines()
    names = lines[0].split()
    return [dict(zip(names, line.split())) for line in lines[1:]]


def holders(truth):
    """Inode number -> {(pid, descriptor)} of all sockets that processes had open."""
    found = {}
    for process in truth["processes"]:
        if process["comm"] == COLLECTOR:
            continue
        for entry in process["fds"]:
            if match := re.fullmatch(r"socket:\[(\d+)\]", entry["link"] or ""):
                found.setdefault(int(match[1]), set()).add((process["pid"], entry["fd"]))
    return found


def by_address(result, rows):
    """Rows by address of the object; each is there once."""
    found = {row["virtual_address"]: row for row in rows}
    result.equal("no socket twice", len(found), len(rows))
    return found


def compare_holders(result, what, row, truth_holders):
    """The processes, and which sources have the socket."""
    pids = sorted({pid for pid, _ in truth_holders.get(row["inode"], ())})
    result.equal(f"{what} pids", row["pids"], " ".join(map(str, pids)) or None)
    result.equal(f"{what} pid", row["pid"], pids[0] if pids else None)
    result.equal(f"{what} source", row["source"], "both" if pids else "hash")


def network_connections(program, truth):
    """Exactly the sockets of /proc/net/{tcp,tcp6,udp,udp6,udplite,udplite6} of each namespace, with the same values."""
    result = Comparison()
    result.rows = program.query("SELECT * FROM network_connections")
    mine = by_address(result, result.rows)
    opened = holders(truth)
    limits = backlogs(truth)
    expected = set()
    for inode, net in namespaces(truth):
        for name in ("udplite", "udplite6"):
            result.equal(f"{name} is empty", len(net["text"].get(name, "").splitlines()) <= 1, True)
        for name, (protocol, family) in CONNECTIONS.items():
            for theirs in net[name]:
                address = "0x" + theirs["sk"]
                expected.add(address)
                row = mine.get(address)
                result.equal(f"{protocol} {theirs['local']}:{theirs['lport']} {theirs['state']} is there",
                             row is not None, True)
                if row:
                    compare_connection(result, row, theirs, (protocol, family, inode))
                    compare_holders(result, f"{protocol} {address}", row, opened)
                    result.equal(f"{protocol} {address} backlog", row["backlog"],
                                 limits.get(theirs["inode"], row["backlog"]) if row["state"] == "listen" else None)
    result.equal("no others", sorted(set(mine) - expected), [])
    return result


def compare_connection(result, row, theirs, identity):
    """Every column that /proc/net has, too."""
    protocol, family, namespace = identity
    what = f"{protocol} {row['virtual_address']}"
    # Without an owner /proc/net shows zeros. Most such are no whole sockets any more, and engram has NULL; one that was
    # closed and has not yet seen the other side's FIN may still be whole.
    in_files = theirs["inode"] != 0
    unconnected = theirs["rport"] == 0 and int(ipaddress.ip_address(theirs["remote"])) == 0
    wanted = {
        "protocol": protocol, "type": family, "namespace": namespace, "state": theirs["state"].lower(),
        "local_port": theirs["lport"], "remote_port": None if unconnected else theirs["rport"],
        "inode": theirs["inode"] or None,
        "uid": theirs["uid"] if in_files or row["uid"] is not None else None,
        "tx_queue": theirs["tx_queue"] if in_files or row["tx_queue"] is not None else None,
        "rx_queue": theirs["rx_queue"] if in_files or row["rx_queue"] is not None else None,
    }
    for column, kernels in wanted.items():
        result.equal(f"{what} {column}", row[column], kernels)
    result.equal(f"{what} local_address", same_address(row["local_address"]), same_address(theirs["local"]))
    result.equal(f"{what} remote_address", same_address(row["remote_address"]),
                 None if unconnected else same_address(theirs["remote"]))


def backlogs(truth):
    """Inode number -> limit of the backlog, from ss, which prints it as Send-Q of those that listen."""
    found = {}
    for line in truth["commands"]["ss"].splitlines():
        fields = line.split()
        if len(fields) > 4 and fields[1] == "LISTEN":
            number = int(re.search(r"ino:(\d+) sk", line)[1]) if fields[0] == "tcp" else int(fields[5])
            found[number] = int(fields[3])
    return found


def sockets(program, truth):
    """Exactly the sockets of /proc/net/{unix,netlink,packet,raw,raw6,icmp} of each namespace, and vsock."""
    result = Comparison()
    result.rows = program.query("SELECT * FROM sockets")
    mine = by_address(result, result.rows)
    opened = holders(truth)
    expected = {}
    for inode, net in namespaces(truth):
        for name, wanted in (("unix", unix(net, truth)), ("netlink", netlink(net)), ("packet", packet(net)),
                             ("raw", raw(net, "raw")), ("raw6", raw(net, "raw6"))):
            for address, columns in wanted.items():
                expected["0x" + address] = (name, {**columns, "namespace": inode})
        for name in ("icmp", "icmp6"):
            result.equal(f"{name} is empty", len(net["text"][name].splitlines()) <= 1, True)
    for address, (name, columns) in expected.items():
        row = mine.get(address)
        result.equal(f"{name} {address} is there", row is not None, True)
        for column, kernels in columns.items() if row else ():
            result.equal(f"{name} {address} {column}", row[column], kernels)
        if row:
            compare_holders(result, f"{name} {address}", row, opened)
    # No file of /proc shows AF_VSOCK; the scenario's only one was bound to port 4711 and listens. Not all flavours of
    # the kernel have the module.
    said = [line for name, lines in truth["expect"].items() if name.startswith("lab-fds.") for line in lines]
    wanted = [("vsock", "stream", "listen", "*", 4711, None, None, 3)] if any("vsock" in line for line in said) else []
    others = [row for address, row in mine.items() if address not in expected]
    columns = ("family", "type", "state", "local_address", "local_port", "remote_address", "remote_port", "backlog")
    vsock = [tuple(row[column] for column in columns) for row in others]
    result.equal("vsock", vsock, wanted)
    for row in others:
        compare_holders(result, "vsock", row, opened)
    # Whatever a process has open is in one of the two tables.
    numbers = {row["inode"] for row in result.rows}
    numbers |= {row["inode"] for row in program.query("SELECT inode FROM network_connections")}
    result.equal("sockets of file tables", sorted(set(opened) - numbers), [])
    return result


def unix(net, truth):
    """/proc/net/unix; peers from ss, which knows the initial namespace only."""
    if not net["unix"]:
        return {}
    by_inode = {row["inode"]: row for row in net["unix"]}
    peers = {}
    for line in truth["commands"]["ss"].splitlines():
        fields = line.split()
        if fields[0] in ("u_str", "u_dgr", "u_seq"):
            peers[int(fields[5])] = int(fields[7])
    limits = backlogs(truth)
    found = {}
    for row in net["unix"]:
        state = "listen" if row["flags"] & LISTENS else "established" if row["state"] == CONNECTED else "close"
        peer = by_inode.get(peers[row["inode"]])
        found[row["sk"]] = {
            "family": "unix", "type": UNIX_TYPES[row["type"]], "state": state, "inode": row["inode"],
            "local_address": row["path"] or None, "local_port": None, "remote_port": None,
            "remote_address": peer["path"] or None if peer else None, "peer": "0x" + peer["sk"] if peer else None,
            "backlog": limits.get(row["inode"]) if state == "listen" else None,
        }
    return found


def netlink(net):
    """/proc/net/netlink."""
    return {row["sk"]: {
        "family": "netlink", "protocol_number": int(row["Eth"]), "local_port": int(row["Pid"]),
        "groups": int(row["Groups"], 16), "rx_queue": int(row["Rmem"]), "tx_queue": int(row["Wmem"]),
        "inode": int(row["Inode"])} for row in table(net["text"]["netlink"])}


def packet(net):
    """/proc/net/packet."""
    return {row["sk"]: {
        "family": "packet", "type": {3: "raw", 2: "dgram"}[int(row["Type"])], "uid": int(row["User"]),
        "protocol_number": int(row["Proto"], 16), "interface_index": int(row["Iface"]) or None,
        "rx_queue": int(row["Rmem"]), "inode": int(row["Inode"])} for row in table(net["text"]["packet"])}


def raw(net, name):
    """/proc/net/raw and raw6."""
    return {row["sk"]: {
        "family": "ipv6" if name == "raw6" else "ipv4", "type": "raw", "state": row["state"].lower(),
        "local_address": row["local"], "local_port": row["lport"], "remote_address": None, "remote_port": None,
        "protocol_number": row["lport"], "tx_queue": row["tx_queue"], "rx_queue": row["rx_queue"],
        "uid": row["uid"], "inode": row["inode"]} for row in net[name]}


def process_open_sockets(program, truth):
    """Every descriptor that is a socket, and every socket that is nobody's; what listens."""
    result = Comparison()
    rows = program.query("SELECT * FROM process_open_sockets ORDER BY virtual_address, pid, fd")
    result.rows = rows
    opened = holders(truth)
    expected = sorted((pid, fd, inode) for inode, users in opened.items() for pid, fd in users)
    result.equal("descriptors", sorted((row["pid"], row["fd"], row["socket"]) for row in rows if row["pid"] != -1),
                 expected)
    tcp = sorted((row["state"], row["local_port"], row["remote_port"], row["family"], row["net_namespace"])
                 for row in rows if row["protocol"] == 6 and row["family"] in (2, 10))
    result.equal("TCP", tcp, sorted(
        (theirs["state"], theirs["lport"], theirs["rport"], 10 if name == "tcp6" else 2, inode)
        for inode, net in namespaces(truth) for name in ("tcp", "tcp6")
        for theirs in net[name] for _ in opened.get(theirs["inode"], {-1})))
    result.equal("unix", sorted(row["path"] or "" for row in rows if row["family"] == 1), sorted(
        row["path"] for _, net in namespaces(truth) for row in net["unix"] for _ in opened.get(row["inode"], {-1})))
    return result


def listening_ports(program, truth):
    """TCP that listens, UDP and raw that is not connected, unix that has a name and waits."""
    result = Comparison()
    result.rows = program.query("SELECT * FROM listening_ports ORDER BY virtual_address, pid, fd")
    opened = holders(truth)
    expected = []
    for inode, net in namespaces(truth):
        for name in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6"):
            protocol = {"tcp": 6, "udp": 17}.get(name.rstrip("6"))
            family = 10 if name.endswith("6") else 2
            for row in net[name]:
                if row["state"] == "LISTEN" if protocol == 6 else row["rport"] == 0:
                    expected += [(pid, fd, row["lport"], protocol or row["lport"], family, row["local"], None, inode)
                                 for pid, fd in opened[row["inode"]]]
        for row in net["unix"]:
            if row["flags"] & LISTENS or (row["type"] == 2 and row["path"]):
                expected += [(pid, fd, 0, 0, 1, None, row["path"], inode) for pid, fd in opened[row["inode"]]]
    columns = ("pid", "fd", "port", "protocol", "family", "address", "path", "net_namespace")
    result.equal("listening", sorted((tuple(row[column] for column in columns) for row in result.rows), key=str),
                 sorted(expected, key=str))
    return result


def process_network_connections(program, truth):
    """TCP and UDP of each process, once."""
    result = Comparison()
    result.rows = program.query("SELECT * FROM process_network_connections")
    opened = holders(truth)
    names = {process["pid"]: (process["comm"], process["exe"]) for process in truth["processes"]}
    expected = set()
    for _, net in namespaces(truth):
        for name, (protocol, family) in CONNECTIONS.items():
            for row in net[name]:
                expected |= {(pid, *names[pid], protocol, family, row["lport"], row["rport"] or None,
                              row["state"].lower(), row["inode"]) for pid, _ in opened.get(row["inode"], ())}
    columns = ("pid", "comm", "binary_path", "protocol", "ip_type", "local_port", "remote_port", "state", "inode")
    result.equal("connections", sorted((tuple(row[column] for column in columns) for row in result.rows), key=str),
                 sorted(expected, key=str))
    ordered = [(row["pid"], row["local_port"]) for row in result.rows]
    result.equal("order", ordered, sorted(ordered))
    return result
