# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
# File systems that the kernel provides, and settings that the truth needs (real pointers in /proc).
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev 2>/dev/null
exec </dev/null
ln -s /proc/self/fd /dev/fd
mkdir -p /dev/pts /dev/shm /dev/mqueue
mount -t devpts -o gid=5,mode=620 devpts /dev/pts
mount -t tmpfs -o size=32m,mode=1777 shm /dev/shm
mount -t mqueue mqueue /dev/mqueue
mount -t tmpfs -o size=16m,mode=755,nosuid,nodev run /run
mount -t tmpfs -o size=48m,mode=1777 tmp-lab /tmp
mount -t tracefs tracefs /sys/kernel/tracing
mount -t debugfs debugfs /sys/kernel/debug
mount -t securityfs securityfs /sys/kernel/security
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf

echo 1 >/proc/sys/kernel/kptr_restrict
echo 0 >/proc/sys/kernel/perf_event_paranoid
echo 0 >/proc/sys/kernel/yama/ptrace_scope
echo 1 >/proc/sys/net/ipv4/ip_forward
echo lab.example >/proc/sys/kernel/domainname
echo dumplab-guest >/proc/sys/kernel/hostname

mkdir -p /run/lab/ready /run/lab/expect.d
chmod 1777 /run/lab /run/lab/ready /run/lab/expect.d
