#!/usr/bin/env python3
"""A form with a file; on POST, the name, size and SHA-256 of what came."""
import hashlib
import html
import os
import re
import sys

BACK = '<p><a href="/">Back to the start</a></p></main>'
FORM = """<form method="post" enctype="multipart/form-data">
<input type="file" name="file" required multiple><button>Send</button></form>"""


def files(body, content_type):
    """Yields (file name, content) for each part of a multipart body that is a file (RFC 7578)."""
    boundary = re.search('boundary="?([^";]+)', content_type)
    if boundary is None:
        return
    for part in (b'\r\n' + body).split(b'\r\n--' + boundary[1].encode('latin-1'))[1:-1]:
        head, _, content = part.partition(b'\r\n\r\n')
        name = re.search(rb'filename="([^"]*)"', head)
        if name and name[1]:
            yield name[1].decode('utf-8', 'replace'), content


sys.stdout.reconfigure(encoding='utf-8', errors='replace')
print("""Content-Type: text/html; charset=utf-8

<!doctype html><html lang="en"><meta charset="utf-8"><title>Upload</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/style.css"><main><h1>Upload a file</h1>""", FORM)
if os.environ['REQUEST_METHOD'] == 'POST':
    body = sys.stdin.buffer.read(int(os.environ.get('CONTENT_LENGTH') or 0))
    for name, content in files(body, os.environ.get('CONTENT_TYPE', '')):
        facts = {'Name': html.escape(name), 'Size': f'{len(content)} bytes',
                 'SHA-256': hashlib.sha256(content).hexdigest()}
        print('<table>', *(f'<tr><th>{k}</th><td>{v}</td></tr>' for k, v in facts.items()), '</table>')
print(BACK)
