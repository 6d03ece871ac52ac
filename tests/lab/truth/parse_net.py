# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Parsers of /proc/net, /proc/PID/mountinfo and /sys/class/net."""
import ipaddress
import json
import re
import struct

TCP_STATES = dict(enumerate('''NONE ESTABLISHED SYN_SENT SYN_RECV FIN_WAIT1 FIN_WAIT2 TIME_WAIT
    CLOSE CLOSE_WAIT LAST_ACK LISTEN CLOSING NEW_SYN_RECV'''.split()))
_INTERNET_FILES = ('tcp', 'tcp6', 'udp', 'udp6', 'raw', 'raw6')


def address(text):
    """An address of /proc/net: one or four 32-bit words in the machine's byte order."""
    words = [int(text[at:at + 8], 16) for at in range(0, len(text), 8)]
    found = ipaddress.ip_address(b''.join(struct.pack('<I', word) for word in words))
    mapped = found.version == 6 and found.ipv4_mapped
    if mapped:  # the one form that differs between versions of Python
        return f'::ffff:{int(mapped) >> 16:x}:{int(mapped) & 0xffff:x}'
    return str(found)


def internet_sockets(text):
    """/proc/net/tcp and its like. sk is the address of the kernel's struct sock."""
    found = []
    for line in (text or '').splitlines()[1:]:
        words = line.split()
        local, local_port = words[1].split(':')
        remote, remote_port = words[2].split(':')
        sending, receiving = words[4].split(':')
        state = int(words[3], 16)
        entry = {'local': address(local), 'lport': int(local_port, 16),
                 'remote': address(remote), 'rport': int(remote_port, 16),
                 'state_num': state, 'state': TCP_STATES.get(state),
                 'tx_queue': int(sending, 16), 'rx_queue': int(receiving, 16),
                 'uid': int(words[7]), 'inode': int(words[9])}
        if len(words) > 11:
            entry['sk'] = words[11]
        found.append(entry)
    return found


def unix_sockets(text):
    """/proc/net/unix; an abstract name starts with @."""
    found = []
    for line in (text or '').splitlines()[1:]:
        words = line.split(None, 7)
        found.append({'sk': words[0].rstrip(':'), 'refcount': int(words[1], 16),
                      'flags': int(words[3], 16), 'type': int(words[4], 16),
                      'state': int(words[5], 16), 'inode': int(words[6]),
                      'path': words[7] if len(words) > 7 else ''})
    return found


def _unescape_octal(text):
    return re.sub(r'\\(\d{3})', lambda match: chr(int(match[1], 8)), text)


def mountinfo(text):
    """/proc/PID/mountinfo."""
    found = []
    for line in text.splitlines():
        mount, filesystem = line.split(' - ', 1)
        words, (kind, source, super_options) = mount.split(' '), filesystem.split(' ', 2)
        found.append({'id': int(words[0]), 'parent': int(words[1]), 'dev': words[2],
                      'root': _unescape_octal(words[3]), 'mountpoint': _unescape_octal(words[4]),
                      'options': words[5], 'optional': words[6:], 'fstype': kind,
                      'source': _unescape_octal(source), 'super_options': super_options})
    return found


def network_namespaces(record, processes):
    """One entry a network namespace, seen through the first process in it."""
    found = []
    for process in processes:
        prefix = f'/proc/{process["pid"]}/net/'
        if record.text(f'{prefix}dev') is None:
            continue
        entry = {'netns': process['ns'].get('net'), 'seen_from_pid': process['pid']}
        for name in _INTERNET_FILES:
            entry[name] = internet_sockets(record.text(prefix + name))
        entry['unix'] = unix_sockets(record.text(f'{prefix}unix'))
        entry['text'] = {name[len(prefix):]: text for name in record.below(prefix)
                         if (text := record.text(name))}
        found.append(entry)
    return found


def mount_namespaces(record, processes):
    """One entry a mount namespace and root, seen through the first process in it."""
    found = []
    for process in processes:
        text = record.text(f'/proc/{process["pid"]}/mountinfo')
        if text is not None:
            found.append({'mntns': process['ns'].get('mnt'), 'seen_from_pid': process['pid'],
                          'root': process['root'], 'mounts': mountinfo(text)})
    return found


def interfaces(record):
    """What `ip -j -d addr` said, as objects. Raises ValueError where that is no JSON."""
    return json.loads(record.text('cmd:ip_addr_j') or '')


def interfaces_sysfs(record):
    """{interface: {file: line}} of /sys/class/net."""
    found = {}
    for name, line in record.lines_below('/sys/class/net/').items():
        interface, _, file = name.partition('/')
        if file:
            found.setdefault(interface, {})[file] = line
    return found
