# Completion of peerlane's commands, options and their values in bash. All of it is read from `peerlane --help` and
# `peerlane COMMAND --help` when it is asked for, so that it is never behind the program.

# What option $2 takes in the help $1: "off|write-through|write-back", "FILE", or nothing.
_peerlane_value() {
  sed -nE "s/^  ([^ ]*,)?$2(,[^ ]*)? ([^ ]+).*/\3/p" <<< "$1" | grep -v '^Excludes:'
}

_peerlane() {
  local word=$2 previous=$3 command='' help value i
  COMPREPLY=()
  # --option=value comes as three words.
  if [[ $word == '=' ]]; then
    word=''
  elif [[ $previous == '=' ]]; then
    previous=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  for ((i = 1; i < COMP_CWORD; ++i)); do
    if [[ ${COMP_WORDS[i]} != -* ]]; then
      command=${COMP_WORDS[i]}
      break
    fi
  done
  help=$("$1" ${command:+"$command"} --help 2> /dev/null) || return

  if [[ $previous == -* ]]; then
    value=$(_peerlane_value "$help" "$previous")
    case $value in
      '') ;;
      FILE | DIR)
        compopt -o filenames 2> /dev/null
        mapfile -t COMPREPLY < <(compgen "$([[ $value == DIR ]] && echo -d || echo -f)" -- "$word")
        return ;;
      *)
        [[ $value != *'|'* ]] || mapfile -t COMPREPLY < <(compgen -W "${value//|/ }" -- "$word")
        return ;;
    esac
  fi
  if [[ $word == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$(grep -oE '^  (-[a-z],)?--[a-z-]+' <<< "$help" | tr ',' ' ')" -- "$word")
  elif [[ -z $command ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$(sed -nE '/^Subcommands:/,/^$/s/^  ([a-z]+) .*/\1/p' <<< "$help")" -- "$word")
  elif [[ $command == pr && $i -lt $((COMP_CWORD - 1)) ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$(sed -nE '/^Actions that/,/^Types:/s/^  ([a-z-]+) .*/\1/p' <<< "$help")" -- "$word")
  elif [[ $command != discover ]]; then
    compopt -o filenames 2> /dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
  fi
}

complete -F _peerlane peerlane
