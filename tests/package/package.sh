#!/usr/bin/env bash
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
# Installs a build into a scratch folder, builds a program against the package, runs it on a dump.
# Usage: package.sh BUILD_FOLDER DUMP_FOLDER
set -euo pipefail
build=$1
dump=$2
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

cmake --install "$build" --prefix "$scratch/prefix" >/dev/null
cmake -S "$here" -B "$scratch/user" -G Ninja -DCMAKE_PREFIX_PATH="$scratch/prefix" >/dev/null
cmake --build "$scratch/user"

wanted=$("$scratch/prefix/bin/engram" query "$dump/dump.lime" "SELECT kernel_version FROM os_version" --format csv |
  tail -n 1 | tr -d '\r"')
found=$("$scratch/user/kernel_of" "$dump/dump.lime")
[ -n "$wanted" ] && [ "$found" = "$wanted" ] || { echo "kernel_of: '$found', '$wanted' expected"; exit 1; }
[ "$("$scratch/user/ranges_of" "$dump/dump.lime" | wc -l)" -ge 2 ] || { echo "ranges_of: too few ranges"; exit 1; }

# The examples are programs of somebody else's, too; each checks what it prints.
cmake -S "$here/../../examples" -B "$scratch/examples" -G Ninja -DCMAKE_PREFIX_PATH="$scratch/prefix" >/dev/null
cmake --build "$scratch/examples"
"$scratch/examples/mapping"
"$scratch/examples/guest_memory"
"$scratch/examples/queries" "$dump/dump.lime"
echo "package: installed, found, linked, and $found read"
