#!/usr/bin/env bash
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
# Makes the Debian package, installs it below a scratch root, and asks the installed program about a dump.
# Usage: deb.sh BUILD_FOLDER DUMP_FOLDER
set -euo pipefail
build=$1
dump=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
fail() { echo "deb: $*"; exit 1; }

(cd "$build" && cpack -B "$scratch" >"$scratch/log") || { cat "$scratch/log"; exit 1; }
deb=$(echo "$scratch"/engram_*.deb)
dpkg-deb -f "$deb" Depends | grep -q libsqlite3-0 || fail "the libraries that it needs are not named"

# The host's packages stand for those that it needs: dpkg does not find them below the scratch root.
root=$scratch/root
mkdir -p "$root/var/lib/dpkg/"{info,updates}
touch "$root/var/lib/dpkg/status"
dpkg --root="$root" --log=/dev/null --force-not-root --force-depends --force-bad-path -i "$deb" \
  >"$scratch/log" 2>&1 || { cat "$scratch/log"; exit 1; }

release=$("$root/usr/bin/engram" query "$dump/dump.raw" "SELECT kernel_version FROM os_version" --format csv |
  tail -n 1 | tr -d '\r"')
grep -q "\"osrelease\": \"$release\"" "$dump/truth.json" || fail "kernel '$release' is not the guest's"

for file in usr/include/engram/image/image.h usr/lib/cmake/engram/engram-config.cmake usr/share/man/man1/engram.1; do
  [ -s "$root/$file" ] || fail "$file is missing"
done
page=$(man -l "$root/usr/share/man/man1/engram.1" 2>"$scratch/warnings" | col -b)
[ ! -s "$scratch/warnings" ] || { cat "$scratch/warnings"; fail "the man page has errors"; }

# Each command that there is has its part in the page, and is completed.
completion=$root/usr/share/bash-completion/completions/engram
commands=$(PATH="$root/usr/bin:$PATH" bash -c "
  source '$completion'
  COMP_WORDS=(engram '') COMP_CWORD=1; _engram; echo \"\${COMPREPLY[*]}\"")
for command in query shell info tables; do
  grep -qw "$command" <<<"$commands" || fail "'$command' is not completed: $commands"
  grep -q "Usage: engram $command" <<<"$page" || fail "the man page lacks '$command'"
done
options=$(PATH="$root/usr/bin:$PATH" bash -c "
  source '$completion'
  COMP_WORDS=(engram query --fo) COMP_CWORD=2; _engram; echo \"\${COMPREPLY[*]}\"
  COMP_WORDS=(engram query --format c) COMP_CWORD=3; _engram; echo \"\${COMPREPLY[*]}\"")
[ "$options" = "$(printf -- '--format\ncsv')" ] || fail "completed: $options"
echo "deb: $(basename "$deb") installed, $release read"
