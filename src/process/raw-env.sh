#!/bin/sh
# Starts a program with an environment, working directory and arguments of exact bytes, for the node
# spawner, which can only pass UTF-8. Every byte string arrives as octal escapes that printf %b reads.
# Usage: raw-env.sh COUNT [NAME VALUE]… CWD FILE [ARG]…   (the other variables are inherited as they are)
count=$1
shift
while [ "$count" -gt 0 ]; do
  # The dot keeps line feeds at the end, which $(…) would drop.
  value=$(printf '%b.' "$2")
  export "$1=${value%.}"
  shift 2
  count=$((count - 1))
done
cwd=$(printf '%b.' "$1")
file=$(printf '%b.' "$2")
shift 2
words=$#
while [ "$words" -gt 0 ]; do
  word=$(printf '%b.' "$1")
  shift
  set -- "$@" "${word%.}"
  words=$((words - 1))
done
unset OLDPWD
cd "${cwd%.}" || exit 126
exec "${file%.}" "$@"
