# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
# Completion of engram's command line in bash. What there is to complete is what the program's own help says.

_engram_words() {
  # The commands, the options or the values of one option in the help of a command: KIND COMMAND [OPTION]
  local help
  help=$("${COMP_WORDS[0]}" $2 --help 2>/dev/null) || return
  case $1 in
    commands) sed -n '/^Subcommands:/,/^$/s/^  \([a-z]\+\) .*/\1/p' <<<"$help" ;;
    options) grep -oE '(^|[ ,])--[a-z][a-z0-9-]*' <<<"$help" | tr -d ' ,' | sort -u ;;
    values) sed -n "s/^.*[ ,]$3 [^{]*{\([^}]*\)}.*/\1/p" <<<"$help" | tr ',' '\n' ;;
  esac
}

_engram() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]} words
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    words="$(_engram_words commands "") --help --version"
  elif [[ $before == --* ]] && words=$(_engram_words values "$command" "$before") && [ -n "$words" ]; then
    :
  elif [[ $word == -* ]]; then
    words=$(_engram_words options "$command")
  else
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
    compopt -o filenames 2>/dev/null
    return
  fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}

complete -F _engram engram
