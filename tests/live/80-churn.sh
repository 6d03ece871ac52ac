# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
# A stage of the guest for live tests. The truth is recorded in peace; then processes come and go.
{
  pause=34 # the number of pause(2) on x86-64, in which the collector waits when it is done
  until read -r number _ 2>/dev/null <"/proc/$(pidof labtruth)/syscall" && [ "$number" = $pause ]; do
    sleep 0.2
  done 2>/dev/null
  exec /usr/local/bin/lab-churn
} &
