#!/usr/bin/env node
// One small app for every mode. `createServer` serves an ordinary node:http handler by how the program was started:
// a listening socket on descriptor 0 makes it a FastCGI worker, a CGI environment answers one request and ends. SCGI has
// to be asked for: `SCGI=4000 app.mjs` waits for web servers on that port, `SCGI=0` takes descriptor 0.
import { text } from 'node:stream/consumers'
import { createServer } from 'postern/fastcgi'

// A web server that speaks CGI starts the program anew, with the request in its environment.
const { SCGI } = process.env
const warm = SCGI ? 'SCGI' : 'FastCGI'
const mode = process.env.GATEWAY_INTERFACE === undefined ? warm : 'CGI'

// What a process keeps in memory: as CGI it never gets past one.
let answers = 0

createServer(async (req, res) => {
  answers++
  const url = new URL(req.url, 'http://localhost')
  const home = url.pathname.replace(/\/(hello|json)?$/, '')
  switch (url.pathname.slice(home.length)) {
    case '/hello':
      return json(res, { hello: url.searchParams.get('name') ?? 'stranger' })
    case '/json':
      return json(res, { mode, pid: process.pid, answers })
    default: {
      const form = new URLSearchParams(req.method === 'POST' ? await text(req) : '')
      res.setHeader('Content-Type', 'text/html; charset=utf-8')
      res.end(page(home, form.get('name')))
    }
  }
}, SCGI ? { protocol: 'scgi' } : {}).listen(Number(SCGI) || undefined)

function json(res, value) {
  res.setHeader('Content-Type', 'application/json')
  res.end(`${JSON.stringify(value)}\n`)
}

function page(home, name) {
  const greeting = name ? `Hello, ${escape(name)}` : 'Hello'
  const times = answers === 1 ? 'its first answer' : `its answer number ${answers}`
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${greeting}</title>
<style>:root { color-scheme: light dark } body { font: 1rem/1.6 system-ui; max-width: 36rem; margin: 3rem auto; padding: 0 1rem }</style>
<h1>${greeting}</h1>
<p>This is the app as <b>${mode}</b>: process ${process.pid} gives you ${times}.
Reload: a CGI program is a new process each time, a worker lives on and counts.</p>
<form method="post" action="${home}/"><label>Your name <input name="name"></label> <button>Greet me</button></form>
<p>The same as <a href="${home}/json">JSON</a>; or <a href="${home}/hello?name=World">an answer that is the same in every mode</a>,
which is what <code>postern bench</code> asks for.</p>
</html>
`
}

function escape(text) {
  return text.replace(/[&<>"]/g, character => `&#${character.charCodeAt(0)};`)
}
