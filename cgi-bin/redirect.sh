#!/bin/sh
# Two ways to point elsewhere (RFC 3875, 6.2.2 and 6.2.3).
target="${SCRIPT_NAME%/*}/env.sh?sent-by=redirect.sh"

if [ "$QUERY_STRING" = inside ]; then
  # A path and nothing else: the server answers with that page, and the browser never knows.
  printf 'Location: %s\n\n' "$target"
  exit
fi

# With a status the browser is told to go there itself.
printf 'Status: 303 See Other\nLocation: %s\n\n' "$target"
