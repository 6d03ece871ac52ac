# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
# Modules; their parameters are in /etc/modprobe.d/lab.conf.
modules="virtio_net dummy loop nbd brd 8021q bridge veth tun overlay vsock_loopback nf_tables
  nf_conntrack softdog tcp_bbr fuse squashfs vfat qemu_fw_cfg evdev ext4"
# One call is quick; only where it fails is each module tried alone, to name the missing one.
if ! modprobe -a $modules 2>/dev/null; then
  for module in $modules; do
    modprobe "$module" || missing "modprobe $module"
  done
fi
# Loaded and gone again: traces without a module.
modprobe pktgen && rmmod pktgen
