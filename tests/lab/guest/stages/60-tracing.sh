# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
# Function tracing with a filter, two probes, and a second trace instance.
tracing=/sys/kernel/tracing
mkdir -p $tracing/instances/lab 2>/dev/null
for function in vfs_open ksys_sync do_sys_openat2 __x64_sys_execve; do
  echo $function >>$tracing/set_ftrace_filter
done
echo 'p:lab/openk do_sys_openat2' >$tracing/kprobe_events
echo 1 >$tracing/events/lab/openk/enable
echo 'r:lab/forkr kernel_clone ret=$retval' >>$tracing/kprobe_events
echo function >$tracing/current_tracer || missing ftrace
echo sched:sched_switch >$tracing/instances/lab/set_event 2>/dev/null
