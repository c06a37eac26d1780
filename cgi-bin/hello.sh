#!/bin/sh
# The smallest CGI page: headers, an empty line, then the page.
cat <<'PAGE'
Content-Type: text/html; charset=utf-8

<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Hello from sh</title>
<link rel="stylesheet" href="/style.css">
<main>
<h1>Hello from the shell</h1>
<p>A fresh process printed this page and is gone by now.</p>
<p><a href="/">Back to the start</a></p>
</main>
PAGE
