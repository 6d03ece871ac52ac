# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
# Mounts of several kinds: in memory, bound, overlaid, from a loop device.
mkdir -p /mnt/loopfs /mnt/ovl /mnt/bind /mnt/ram /mnt/ramfs /mnt/huge /tmp/o/l /tmp/o/u /tmp/o/w
mount -t ramfs ramfs /mnt/ramfs
echo "ramfs file content RAMFS-1" >/mnt/ramfs/r.txt
mount -t tmpfs -o size=16m,huge=always huge-lab /mnt/huge

mount --bind /home/alice /mnt/bind
mount -o remount,bind,ro /mnt/bind

echo lower >/tmp/o/l/f
layers=lowerdir=/tmp/o/l,upperdir=/tmp/o/u,workdir=/tmp/o/w
if mount -t overlay overlay-lab -o $layers /mnt/ovl; then
  echo changed >/mnt/ovl/f
  echo new >/mnt/ovl/n
else
  missing overlay
fi

if losetup /dev/loop0 /var/lib/lab/loop.ext4 &&
  mount -t ext4 -o noatime /dev/loop0 /mnt/loopfs; then
  echo "LOOPFS runtime file" >/mnt/loopfs/runtime.txt
  cat /mnt/loopfs/hello.txt >/dev/null
else
  missing loop
fi
