#!/usr/bin/env python3
"""A greeting; the name comes from the query string: /cgi-bin/hello.py?name=Ada"""
import html
import os
import platform
import sys
from urllib.parse import parse_qs

query = parse_qs(os.environ.get('QUERY_STRING', ''))
name = html.escape(query.get('name', ['stranger'])[0])

sys.stdout.reconfigure(encoding='utf-8')
print(f"""Content-Type: text/html; charset=utf-8

<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Hello from Python</title>
<link rel="stylesheet" href="/style.css">
<main>
<h1>Hello, {name}</h1>
<p>Python {platform.python_version()} printed this page as process {os.getpid()}.</p>
<p><a href="/">Back to the start</a></p>
</main>""")
