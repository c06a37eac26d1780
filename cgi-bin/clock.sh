#!/bin/sh
# Ten lines, one a second; each reaches the browser as soon as it is printed.
cat <<'PAGE'
Content-Type: text/html; charset=utf-8
Cache-Control: no-store

<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Clock</title>
<link rel="stylesheet" href="/style.css">
<main>
<h1>One line a second</h1>
<p>Leave before the end, and the program is stopped at once.</p>
<ol class="ticks">
PAGE
line=1
while [ "$line" -le 10 ]; do
  printf '<li>%2d of 10: %s</li>\n' "$line" "$(date '+%H:%M:%S')"
  line=$((line + 1))
  sleep 1
done
cat <<'PAGE'
</ol>
<p><a href="/">Back to the start</a></p>
</main>
PAGE
