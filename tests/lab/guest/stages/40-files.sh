# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
# Files in the page cache: whole, in part, never read, sparse, dirty; and the logs.
for i in $(seq 1 200); do
  echo "tmpfs-line-$i $((i * 7919))"
done >/tmp/known-tmpfs.txt

cat /var/lib/lab/big.bin >/dev/null
# 4 MiB in pages of 2 MiB: the second begins in the middle of the pattern.
dd if=/var/lib/lab/big.bin of=/mnt/huge/huge.bin bs=1M 2>/dev/null
dd if=/var/lib/lab/big.bin of=/mnt/huge/huge.bin bs=1M count=1 seek=3 conv=notrunc 2>/dev/null
dd if=/var/lib/lab/partial.bin of=/dev/null bs=4096 skip=100 count=3 2>/dev/null
dd if=/var/lib/lab/partial.bin of=/dev/null bs=4096 skip=1500 count=1 2>/dev/null
find /var/lib/lab /etc /home -type f ! -name partial.bin ! -name never-read.bin \
  -exec cat {} + >/dev/null

dd if=/dev/zero of=/var/lib/lab/sparse.bin bs=4096 count=0 seek=512 2>/dev/null
echo SPARSE-TAIL >>/var/lib/lab/sparse.bin
echo "runtime ext4 file, written then synced" >/var/lib/lab/runtime-synced.txt
sync
echo "runtime ext4 file, dirty not synced DIRTY-DATA" >/var/lib/lab/runtime-dirty.txt
ls -lR /var/lib/lab >/dev/null
ls /no/such/dir /etc/nonexistent-negative-dentry 2>/dev/null

syslogd -O /var/log/syslog -S
klogd -c 8
wait_until 5 test -S /dev/log
logger -t labapp -p auth.warning \
  "SYSLOG-RUNTIME-LINE one: failed password for root from 203.0.113.66 port 4242 ssh2"
logger -t labapp "SYSLOG-RUNTIME-LINE two"
logger -t sshd -p authpriv.info "Accepted publickey for alice from 192.0.2.44 port 51022 ssh2"

echo "<4>KMSG-MARKER-ONE from lab init" >/dev/kmsg
echo "<12>lab-daemon: KMSG-MARKER-TWO facility user level warning" >/dev/kmsg
printf '<3>KMSG-MARKER-THREE long %0800d end\n' 7 >/dev/kmsg
printf '<6>KMSG-MARKER-FOUR escape \001\\x41\tTAB\n' >/dev/kmsg
