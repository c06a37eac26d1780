#!/bin/sh
# Installs what the tests with REQUIRE_PEERS=1 and the benchmark need, from Debian, as root. Does nothing
# when everything is there. Services that a package would start are kept from starting: they are not used,
# and one that finds its port taken would fail the installation.
set -eu

packages='python3 perl libcgi-pm-perl git gitweb nginx-light fcgiwrap spawn-fcgi lighttpd apache2
  golang-go gcc libc6-dev curl procps chromium chromium-driver libfcgi-dev libfcgi-perl php-fpm php-cgi
  php-sqlite3 adminer dokuwiki libapache2-mod-fcgid h2o caddy uwsgi-core uwsgi-plugin-python3 gunicorn
  python3-flask python3-django libplack-perl libfcgi-procmanager-perl'

missing=
for package in $packages; do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing="$missing $package"
done
if [ -z "$missing" ]; then
  echo 'peers: all installed'
  exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
  echo "peers: has to be run as root to install:$missing" >&2
  exit 1
fi

policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi

export DEBIAN_FRONTEND=noninteractive
apt-get update -q
# shellcheck disable=SC2086 # a list of words
apt-get install -q -y --no-install-recommends $missing </dev/null
