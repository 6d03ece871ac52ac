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
ask "SELECT format, architecture, page_table_levels, kaslr_shift, direct_map_base FROM image_info"
ask "SELECT pid, name, state, uid, threads, cmdline FROM processes WHERE path IS NOT NULL LIMIT 15"
ask "SELECT pid, name, path FROM processes WHERE path LIKE '% (deleted)'"
ask "SELECT symbol(virtual_address + 4) AS place, symbol_type FROM kallsyms WHERE symbol_name = 'commit_creds'"
ask "SELECT count(*) AS symbols, count(DISTINCT module) AS modules FROM kallsyms"
