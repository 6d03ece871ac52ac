# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
# The scenario's processes (guest/scenario/*.c). Each says in /run/lab/ready that it is in place.
bin=/usr/local/bin

# Shells first: they take longest. Somebody types the lines of the input file.
$bin/lab-pty bash /etc/lab-bash-input /bin/bash --norc -i &
$bin/lab-pty ash /etc/lab-ash-input /bin/busybox ash -i &
$bin/lab-netsrv &

# Its executable is deleted at the end of this stage.
cp /usr/local/sbin/lab-static /tmp/.hidden-exe
LAB_READY=deletedexe /tmp/.hidden-exe --persist &

env -i PATH="$PATH" LAB_TOKEN=tok-1-c0ffee LANG=C.UTF-8 EMPTY= 'WEIRD=a=b c' \
  $bin/lab-tree --level=1 --secret=hunter2-xyzzy &
long=$(printf '%06000d' 5)
env "LONGENV=$long" LAB_READY=longargs $bin/lab-other "$long" end-of-long &
env LD_PRELOAD=/usr/local/lib/libevil_preload.so LAB_READY=preload $bin/lab-preload --with-preload &
env LD_LIBRARY_PATH=/usr/local/lib 'BASH_FUNC_x%%=() { :;}' \
  $bin/lab-masq --please-hide-this-long-command-line --password=sw0rdfish-in-argv &

for program in threads zombie vfork stopped tracer ns userns chroot caps caps2 fds rwx shm \
  fileless; do
  $bin/lab-$program &
done
cd /home/alice
LAB_READY=setsid setsid $bin/lab-sid in-alice-home &
cd /
mkdir /sys/fs/cgroup/labgroup && {
  sh -c 'echo $$ >/sys/fs/cgroup/labgroup/cgroup.procs
    LAB_READY=cgroup exec /usr/local/bin/lab-cgroup'
} &
{ renice -n 11 -p $BASHPID >/dev/null && LAB_READY=nice exec $bin/lab-nice; } &
[ "$(nproc)" -gt 1 ] && $bin/lab-spin &

wait_until 20 test -e /run/lab/ready/netsrv
$bin/lab-netcli &

wanted="tree masq threads zombie vfork stopped trace ns userns chroot caps caps2 fds rwx shm
  fileless deletedexe longargs preload setsid cgroup nice netsrv netcli bash ash other"
absent() {
  for name in $wanted; do
    [ -e /run/lab/ready/$name ] || printf ' %s' "$name"
  done
}
all_ready() { [ -z "$(absent)" ]; }
wait_until 60 all_ready || missing "not ready:$(absent)"

# A pair of interfaces with one end in the namespace of lab-ns.
namespace_pid=$(sed -n 's/^ns_init //p' /run/lab/expect.d/lab-ns.*)
ip link add veth-a type veth peer name veth-b
ip link set veth-b netns "$namespace_pid" &&
  ip link set veth-a up &&
  ip addr add 10.99.0.1/30 dev veth-a || missing veth

rm -f /tmp/.hidden-exe
