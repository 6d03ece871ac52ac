#!/usr/bin/env bash
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
# clang-tidy on the sources that differ from the main branch's last commit, or on all with ALL=1.
set -euo pipefail
cmake --preset tidy >/dev/null
if [ "${ALL:-0}" = 1 ]; then
  mapfile -t files < <(git ls-files 'src/*.cc')
else
  mapfile -t files < <({ git diff --name-only --diff-filter=d HEAD -- 'src/*.cc'; git ls-files -o --exclude-standard 'src/*.cc'; } | sort -u)
fi
[ ${#files[@]} -eq 0 ] && exit 0
printf '%s\n' "${files[@]}" | xargs -P "$(nproc)" -n 4 clang-tidy -p build/tidy --quiet
