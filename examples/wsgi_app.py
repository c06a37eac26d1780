"""The small app of app.mjs for Python: a page with a form and a counter, JSON. Standard library only (PEP 3333)."""

import html
import json
import os
from urllib.parse import parse_qs

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{greeting}</title>
<style>:root {{ color-scheme: light dark }} body {{ font: 1rem/1.6 system-ui; max-width: 36rem; margin: 3rem auto; padding: 0 1rem }}</style>
<h1>{greeting}</h1>
<p>This is the app as <b>{mode}</b>: process {pid} gives you {times}.
Reload: a CGI program is a new process each time, a WSGI worker lives on and counts.</p>
<form method="post" action="{home}/"><label>Your name <input name="name"></label> <button>Greet me</button></form>
<p>The same as <a href="{home}/json">JSON</a>; or <a href="{home}/hello?name=World">an answer that is the same in every mode</a>.</p>
</html>
"""

# What a process keeps in memory: as CGI it never gets past one.
answers = 0


def application(environ, start_response):
    global answers
    answers += 1
    mode = "CGI" if environ["wsgi.run_once"] else "WSGI"
    if environ["PATH_INFO"] == "/hello":
        name = parse_qs(environ["QUERY_STRING"]).get("name", ["stranger"])[0]
        return answer_json(start_response, {"hello": name})
    if environ["PATH_INFO"] == "/json":
        return answer_json(start_response, {"mode": mode, "pid": os.getpid(), "answers": answers})
    form = parse_qs(environ["wsgi.input"].read().decode()) if environ["REQUEST_METHOD"] == "POST" else {}
    page = PAGE.format(
        greeting=html.escape(", ".join(["Hello", *form.get("name", [])])),
        home=html.escape(environ["SCRIPT_NAME"].encode("latin-1").decode()),
        mode=mode,
        pid=os.getpid(),
        times="its first answer" if answers == 1 else f"its answer number {answers}",
    )
    start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
    return [page.encode()]


def answer_json(start_response, value):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"]
