/**
 * DokuWiki, as Debian packs it, on php-fpm through a whole server: a real application with a login, forms,
 * uploads and files of its own beside its scripts. What is written is read back byte for byte.
 */
import { createHash, randomBytes } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { fastCgiRoute } from '../support/fastcgi-route.js'
import { missing, phpFpm } from '../support/peers.js'
import { startPhpFpm } from '../support/php.js'
import { chunkBytes, type RawConnection, type RequestParts } from '../support/raw-http.js'
import type { RawResponse } from '../support/raw-response.js'
import { startTestServer, type TestServer } from '../support/serve.js'
import { tempRoot } from '../support/temp-root.js'

const installed = '/usr/share/dokuwiki'
const settings = '/etc/dokuwiki'
const folders = [
  ...['attic', 'cache', 'index', 'locks', 'log', 'media', 'media_attic', 'media_meta', 'meta'],
  ...['pages', 'tmp', 'sessions'],
]
const user = { u: 'ada', p: 'a pass+word&é' }

/** A wiki of its own below `folder`, for everyone to read and for one user to write; gives its root. */
function install(folder: string): string {
  const root = join(folder, 'wiki')
  const otherLanguage = /\/lang\/(?!en(?:\/|$))/
  const filter = (path: string): boolean => !otherLanguage.test(path)
  cpSync(installed, root, { recursive: true, dereference: true, filter })
  cpSync(settings, join(root, 'conf'), { recursive: true, dereference: true })
  // Debian's, which looks for its settings elsewhere.
  rmSync(join(root, 'inc/preload.php'), { force: true })
  for (const name of folders) mkdirSync(join(folder, 'data', name), { recursive: true })
  const password = createHash('md5').update(user.p).digest('hex')
  const file = (name: string, text: string): void => writeFileSync(join(root, 'conf', name), text)
  const local = [
    `savedir = '${folder}/data'`,
    'useacl = 1',
    "superuser = '@admin'",
    "title = 'A wiki'",
  ]
  file(
    'local.php',
    ['<?php', ...local.map(line => `$conf['${line.replace(' =', "'] =")};`), ''].join('\n'),
  )
  file('users.auth.php', `# <?php exit()?>\n${user.u}:${password}:Ada:ada@a.test:user\n`)
  file('acl.auth.php', '# <?php exit()?>\n*\t@ALL\t1\n*\t@user\t8\n')
  return root
}

/** Somebody with a browser: one connection, cookies, and the security token of the last form. */
class Visitor {
  readonly #connection: RawConnection
  readonly #cookies = new Map<string, string>()
  token = ''

  constructor(connection: RawConnection) {
    this.#connection = connection
  }

  async get(target: string, headers: readonly string[] = []): Promise<RawResponse> {
    return await this.#ask(target, { headers })
  }

  async post(target: string, fields: Readonly<Record<string, string>>): Promise<RawResponse> {
    const body = new URLSearchParams({ sectok: this.token, ...fields }).toString()
    const headers = ['Content-Type: application/x-www-form-urlencoded']
    return await this.#ask(target, { method: 'POST', headers, body })
  }

  /** A form with one file, as a browser sends it. */
  async upload(
    target: string,
    fields: Readonly<Record<string, string>>,
    name: string,
    file: Buffer,
  ) {
    const form = new FormData()
    for (const [key, value] of Object.entries({ sectok: this.token, ...fields }))
      form.set(key, value)
    form.set('upload', new Blob([file]), name)
    const encoded = new Response(form)
    const headers = [`Content-Type: ${encoded.headers.get('content-type')}`]
    const body = Buffer.from(await encoded.arrayBuffer())
    return await this.#ask(target, { method: 'POST', headers, body })
  }

  /** A body in chunks, with no length. */
  async chunks(target: string, body: Buffer): Promise<RawResponse> {
    const head = [`POST ${target} HTTP/1.1`, 'Host: wiki.test', 'Transfer-Encoding: chunked']
    this.#connection.send(`${[...head, ...this.#cookieHeader()].join('\r\n')}\r\n\r\n`)
    for (let at = 0; at < body.length; at += 10_000) {
      this.#connection.send(chunkBytes(body.subarray(at, at + 10_000)))
    }
    this.#connection.send(chunkBytes(''))
    return this.#take(await this.#connection.response())
  }

  async #ask(target: string, { headers = [], ...parts }: RequestParts): Promise<RawResponse> {
    const all = ['Host: wiki.test', ...this.#cookieHeader(), ...headers]
    this.#connection.request(target, { ...parts, headers: all })
    return this.#take(await this.#connection.response())
  }

  #cookieHeader(): string[] {
    if (this.#cookies.size === 0) return []
    return [`Cookie: ${[...this.#cookies].map(pair => pair.join('=')).join('; ')}`]
  }

  #take(response: RawResponse): RawResponse {
    for (const cookie of response.all('set-cookie')) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? []
      this.#cookies.set(name, value)
    }
    this.token = /name="sectok" value="([0-9a-f]+)"/.exec(response.text())?.[1] ?? this.token
    return response
  }
}

async function serve(t: Test, php: string): Promise<TestServer> {
  const folder = tempRoot(t).path
  const root = install(folder)
  const address = await startPhpFpm(t, php, [
    `php_value[session.save_path] = ${folder}/data/sessions`,
  ])
  return await startTestServer(t, {
    routes: () => [
      fastCgiRoute('/', {
        backend: { kind: 'addresses', addresses: [address] },
        capacity: 2,
        root,
        index: ['doku.php', 'index.html'],
        split: '.php',
      }),
    ],
  })
}

async function wiki(t: Test, php: string): Promise<void> {
  const server = await serve(t, php)
  const visitor = new Visitor(await server.connect())
  const text = `====== Ein Haus ======\n\nÄ, €, \u{1f600} & <b> %2B +\n${'0123456789 '.repeat(20_000)}end`
  const page = 'bau:übung_a'
  const form = { id: page, rev: '0', date: '', prefix: '.', suffix: '', 'do[save]': 'Save' }
  const saveButton = 'name="do[save]"'
  const at = (id: string): string => `/doku.php?id=${encodeURIComponent(id)}`

  await t.test('the start page, its style sheet and a file beside the scripts', async t => {
    const start = await visitor.get('/')
    t.equal(start.status, 200)
    t.match(start.text(), 'A wiki')
    const css = await visitor.get('/lib/exe/css.php?t=dokuwiki')
    t.match(css.header('content-type'), /^text\/css/)
    const icon = await visitor.get('/lib/tpl/dokuwiki/images/favicon.ico')
    t.match([icon.status, icon.header('content-type')], [200, /^image\//])
    t.equal((await visitor.get('/VERSION')).status, 200)
    t.equal((await visitor.get('/.htaccess')).status, 404)
  })

  await t.test('nobody writes without a login', async t => {
    t.notMatch((await visitor.get(`${at(page)}&do=edit`)).text(), saveButton)
    await visitor.post(at(page), { ...form, wikitext: 'mine' })
    t.notMatch((await visitor.get(at(page))).text(), 'mine')
  })

  await t.test('log in with the form', async t => {
    await visitor.get(`${at(page)}&do=login`)
    const wrong = await visitor.post(at(page), { do: 'login', ...user, p: 'wrong' })
    t.match(wrong.text(), 'username or password was wrong')
    const right = await visitor.post(at(page), { do: 'login', ...user })
    t.equal(right.status, 302, 'E-12: the redirect is the client’s')
    t.match(right.all('set-cookie').join('\n'), /^DW[0-9a-f]+=[^;]+;.*HttpOnly/m)
    t.match((await visitor.get(at(page))).text(), 'Ada')
    t.not(visitor.token, '')
  })

  await t.test('L-9 write a page and read it back', async t => {
    t.match((await visitor.get(`${at(page)}&do=edit`)).text(), saveButton)
    const saved = await visitor.post(at(page), { ...form, wikitext: text })
    t.equal(saved.status, 302)
    const raw = await visitor.get(`${at(page)}&do=export_raw`)
    t.equal(raw.body.toString(), text)
    t.match((await visitor.get(at(page))).body.toString(), /<h1[^>]*>Ein Haus<\/h1>/)
    const stranger = new Visitor(await server.connect())
    t.equal((await stranger.get(`${at(page)}&do=export_raw`)).body.toString(), text)
  })

  await t.test('upload a file with the form, and read it back', async t => {
    const file = randomBytes(300_000)
    const manager = '/lib/exe/mediamanager.php?ns=bau'
    await visitor.get(manager)
    const done = await visitor.upload(manager, { ns: 'bau', mediaid: 'plan.zip' }, 'plan.zip', file)
    t.match(done.text(), 'Upload successful')
    const target = '/lib/exe/fetch.php?media=bau:plan.zip'
    const whole = await visitor.get(target)
    t.equal(whole.header('content-type'), 'application/zip')
    t.equal(whole.body.equals(file), true)
    const part = await visitor.get(target, ['Range: bytes=1000-1999'])
    t.equal(part.status, 206)
    t.equal(part.body.equals(file.subarray(1000, 2000)), true)
    const known = await visitor.get(target, [`If-None-Match: ${whole.header('etag')}`])
    t.equal(known.status, 304)
  })

  await t.test('L-2 upload in chunks: the application compares CONTENT_LENGTH', async t => {
    const file = randomBytes(100_000)
    const call = `/lib/exe/ajax.php?call=mediaupload&ns=bau&qqfile=b.zip&sectok=${visitor.token}`
    const done = await visitor.chunks(call, file)
    t.match(JSON.parse(done.text()), { success: true })
    const back = await visitor.get('/lib/exe/fetch.php?media=bau:b.zip')
    t.equal(back.body.equals(file), true)
  })

  await t.test('log out', async t => {
    await visitor.get(`${at(page)}&do=logout&sectok=${visitor.token}`)
    t.notMatch((await visitor.get(`${at(page)}&do=edit`)).text(), saveButton)
  })
}

const php = phpFpm(t)
if (!existsSync(join(installed, 'doku.php'))) missing(t, 'dokuwiki')
else if (php !== undefined) t.test('DokuWiki', async t => await wiki(t, php))
