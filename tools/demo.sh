#!/usr/bin/env bash
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
# Asks the demo's questions of an image. Usage: demo.sh ENGRAM IMAGE
set -euo pipefail
engram=$1
image=$2

ask() {
  printf '\n$ engram query %s "%s"\n' "$image" "$1"
  local start end
  start=$(date +%s%N)
  "$engram" query "$image" "$1"
  end=$(date +%s%N)
  printf -- '-- %d ms, the start of the program included\n' $(((end - start) / 1000000))
}

ask "SELECT * FROM os_version"
ask "SELECT format, page_table_levels, kaslr_shift, direct_map_base, symbols_source FROM image_info"
ask "SELECT pid, name, state, uid, threads, substr(cmdline, 1, 40) AS cmdline FROM processes WHERE path IS NOT NULL LIMIT 12"
ask "SELECT pid, name, path, cmdline FROM processes WHERE on_disk = 0"
ask "SELECT pid, tgid, comm, uid, nspid FROM tasks WHERE source = 'pid_ns' AND nspid LIKE '% %'"
ask "SELECT addr(virtual_address) AS address, symbol(virtual_address + 4) AS place FROM kallsyms WHERE symbol_name = 'commit_creds'"
ask "SELECT coalesce(module, 'kernel') AS module, count(*) AS symbols FROM kallsyms GROUP BY module ORDER BY 2 DESC LIMIT 5"
