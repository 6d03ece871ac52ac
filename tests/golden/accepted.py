# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Differences from the guest's truth that are right, each with its reason: (check, pattern, reason)."""
import re

ACCEPTED = [
    ("tasks", r"\(lab-stopped\) exit_code: engram has 0, the kernel 19$",
     "for a stopped process /proc shows the signal of signal_struct.group_exit_code; the task itself has not exited"),
    ("sockets", r"^netlink 0x[0-9a-f]+ rx_queue: engram has \d+, the kernel \d+$",
     "a socket that listens for the kernel's events and does not read them goes on filling until the machine stops"),
    ("kernel_module_parameters", r"^built in damon_stat (estimated_memory_bandwidth|memory_idle_ms_percentiles|aggr_interval_us): ",
     "what the kernel measures of its memory, and tunes by it, goes on changing until the machine stops"),
    ("files", r"^/mnt/(ovl|ramfs)/[a-z.]+ \((overlay|ramfs)\) blocks: engram has 0, the kernel 8$",
     "for these stat() does not show the inode's own number: that of the file below, the pages that there are"),
    ("files", r" \(ext4\) blocks: engram has \d+, the kernel \d+$",
     "stat() adds what ext4 has promised but not yet allocated, which it keeps outside of the inode"),
    ("file_contents", r"^/var/lib/lab/loop\.ext4 sha256: ",
     "the truth is the hash of the file before it was mounted and written to"),
]


def reason(check, difference):
    """Why this difference is accepted, or None."""
    for wanted, pattern, why in ACCEPTED:
        if check == wanted and re.search(pattern, difference):
            return why
    return None
