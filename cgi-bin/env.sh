#!/bin/sh
# The environment viewer: every variable this program was given, sorted and escaped.
cat <<'PAGE'
Content-Type: text/html; charset=utf-8

<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Environment</title>
<link rel="stylesheet" href="/style.css">
<main>
<h1>What a program is told</h1>
<p>The variables of CGI/1.1 (RFC 3875) for the request that you have just made, and nothing of the
server's own environment beyond what a program needs.</p>
<table>
PAGE
# LC_ALL=C: bytes, not characters, for a client may send anything. PWD is of the shell's own making.
env | LC_ALL=C sort | LC_ALL=C sed -n '
  /^PWD=/d
  s/&/\&amp;/g
  s/</\&lt;/g
  s/>/\&gt;/g
  s/"/\&quot;/g
  s|^\([A-Za-z_][A-Za-z0-9_]*\)=\(.*\)$|<tr><th scope="row">\1</th><td>\2</td></tr>|p
'
cat <<'PAGE'
</table>
<p><a href="/">Back to the start</a></p>
</main>
PAGE
