/**
 * The start page and what it links to: nothing is missing, nothing comes from elsewhere.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { demoFiles, demoScripts, startDemo } from '../support/demo.js'

const page = readFileSync(join(demoFiles, 'index.html'), 'utf8')
const links = [...page.matchAll(/(?:href|src)="([^"]*)"/g)].map(match => match[1] ?? '')

t.test('the start page links every program, and only what is there', async t => {
  const linked = links
    .filter(link => link.startsWith('/cgi-bin/'))
    .map(link => link.slice('/cgi-bin/'.length).replace(/[/?].*$/, ''))
  t.strictSame([...new Set(linked)].sort(), readdirSync(demoScripts).sort())
})

t.test('nothing comes from another host', async t => {
  for (const link of links) t.match(link, /^(\/|data:)/, link)
  const style = readFileSync(join(demoFiles, 'style.css'), 'utf8')
  t.notMatch(style, /url\(|@import/)
})

t.test('each program is executable and short', async t => {
  for (const name of readdirSync(demoScripts)) {
    const path = join(demoScripts, name)
    t.equal(statSync(path).mode & 0o111, 0o111, `${name} is executable`)
    const text = readFileSync(path, 'utf8')
    t.match(text, /^#!\/(bin\/sh|usr\/bin\/env (python3|perl))\n/, `${name} has a #! line`)
    const lines = text.trimEnd().split('\n').length
    t.ok(lines >= 5 && lines <= 40, `${name} has ${lines} lines`)
  }
})

t.test('the page and its style are served', async t => {
  const server = await startDemo(t)
  const start = await server.request('/')
  t.equal(start.status, 200)
  t.match(start.header('content-type'), /^text\/html/)
  t.equal(start.body.toString(), page)
  const style = await server.request('/style.css')
  t.equal(style.status, 200)
  t.match(style.header('content-type'), /^text\/css/)
})
