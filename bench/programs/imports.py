#!/usr/bin/python3
import email.message
import json
import sqlite3
import sys
import urllib.request

database = sqlite3.connect(":memory:")
(word,) = database.execute("select 'Hello'").fetchone()
message = email.message.EmailMessage()
message.set_content(json.loads('"world"'))
sys.stdout.write("Content-Type: text/plain\r\n\r\n%s, %s" % (word, urllib.request.unquote(message.get_content())))
