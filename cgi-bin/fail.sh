#!/bin/sh
# Fails on purpose, before any header: the browser gets an error page, the log gets these lines.
echo 'fail.sh: this program was asked to fail' >&2
echo 'fail.sh: so it says why on stderr and exits with status 1' >&2
exit 1
