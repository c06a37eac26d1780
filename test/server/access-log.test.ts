import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { type AccessEntry, formatCombined, formatJson } from '../../src/server/access-log.js'

const least: AccessEntry = {
  id: 'k3v9-1',
  time: new Date('2026-11-02T07:05:09.900Z'),
  remote: '192.0.2.7',
  method: 'GET',
  target: '/a?b=c',
  protocol: 'HTTP/1.1',
  status: 200,
  bytes: 0,
  wallMs: 1.25,
}

const most: AccessEntry = {
  ...least,
  user: 'eve',
  bytes: 2326,
  referer: 'http://example.test/',
  userAgent: 'curl/8',
  script: '/srv/cgi-bin/env.cgi',
  pid: 4711,
  queueMs: 0,
  spawnMs: 0.456,
  firstByteMs: 10.04,
  wallMs: 12.34,
  exit: { code: 0, signal: undefined, usage: { userUs: 1234, systemUs: 800, maxRssKiB: 3400 } },
  error: 'TRUNCATED',
  note: 'local redirect',
}

t.test('combined: what is not known is left out', async t => {
  t.equal(
    formatCombined(least),
    '192.0.2.7 - - [02/Nov/2026:07:05:09 +0000] "GET /a?b=c HTTP/1.1" 200 0 "-" "-" id=k3v9-1 wall=1.3ms',
  )
})

t.test('combined: everything', async t => {
  t.equal(
    formatCombined(most),
    '192.0.2.7 - eve [02/Nov/2026:07:05:09 +0000] "GET /a?b=c HTTP/1.1" 200 2326 ' +
      '"http://example.test/" "curl/8" id=k3v9-1 script=/srv/cgi-bin/env.cgi pid=4711 exit=0 ' +
      'wall=12.3ms queue=0ms spawn=0.5ms first=10ms cpu=1.2ms/0.8ms rss=3400KiB error=TRUNCATED ' +
      'note=local\\x20redirect',
  )
})

t.test('combined: a signal, a status, no usage, usage without memory', async t => {
  const exits: [AccessEntry['exit'], string][] = [
    [{ code: undefined, signal: 'SIGKILL', usage: undefined }, ' signal=SIGKILL wall=1.3ms'],
    [{ code: 3, signal: undefined, usage: undefined }, ' exit=3 wall=1.3ms'],
    [
      { code: 1, signal: undefined, usage: { userUs: 0, systemUs: 50, maxRssKiB: undefined } },
      ' exit=1 wall=1.3ms cpu=0ms/0.1ms',
    ],
  ]
  for (const [exit, end] of exits) t.ok(formatCombined({ ...least, exit }).endsWith(`k3v9-1${end}`))
})

t.test('F-3: what a client chose stays in its field', async t => {
  const line = formatCombined({
    ...least,
    user: 'a b"c',
    method: 'G"T',
    target: '/\x1b[31m"\\x20 é'.replace('é', '\xe9'),
    referer: 'x" 200 0 "-" "forged',
    userAgent: 'line\r\nbreak\x7f\x9b',
    script: '/srv/a b/\xc3\xa9 error=NONE',
  })
  t.equal(
    line,
    '192.0.2.7 - a\\x20b\\"c [02/Nov/2026:07:05:09 +0000] ' +
      '"G\\"T /\\x1b[31m\\"\\\\x20 \\xe9 HTTP/1.1" 200 0 "x\\" 200 0 \\"-\\" \\"forged" ' +
      '"line\\x0d\\x0abreak\\x7f\\x9b" id=k3v9-1 ' +
      'script=/srv/a\\x20b/\\xc3\\xa9\\x20error=NONE wall=1.3ms',
  )
})

t.test('text beyond bytes goes out as UTF-8', async t => {
  t.match(formatCombined({ ...least, note: '→🙂' }), /note=\\xe2\\x86\\x92\\xf0\\x9f\\x99\\x82$/)
})

t.test('each second has its own time', async t => {
  const at = (time: string): string | undefined =>
    formatCombined({ ...least, time: new Date(time) }).match(/\[(.*?)\]/)?.[1]
  t.equal(at('2026-01-31T23:59:59.999Z'), '31/Jan/2026:23:59:59 +0000')
  t.equal(at('2026-01-31T23:59:59.000Z'), '31/Jan/2026:23:59:59 +0000')
  t.equal(at('2026-02-01T00:00:00.000Z'), '01/Feb/2026:00:00:00 +0000')
  t.equal(at('2026-01-31T23:59:59.500Z'), '31/Jan/2026:23:59:59 +0000', 'and going back')
})

t.test('JSON: everything, and only what is known', async t => {
  t.strictSame(JSON.parse(formatJson(most)), {
    time: '2026-11-02T07:05:09.900Z',
    id: 'k3v9-1',
    remote: '192.0.2.7',
    user: 'eve',
    method: 'GET',
    target: '/a?b=c',
    protocol: 'HTTP/1.1',
    status: 200,
    bytes: 2326,
    referer: 'http://example.test/',
    userAgent: 'curl/8',
    wallMs: 12.34,
    script: '/srv/cgi-bin/env.cgi',
    pid: 4711,
    queueMs: 0,
    spawnMs: 0.456,
    firstByteMs: 10.04,
    exitCode: 0,
    cpuUserMs: 1.234,
    cpuSystemMs: 0.8,
    maxRssKiB: 3400,
    error: 'TRUNCATED',
    note: 'local redirect',
  })
  t.strictSame(Object.keys(JSON.parse(formatJson(least))), [
    'time',
    'id',
    'remote',
    'method',
    'target',
    'protocol',
    'status',
    'bytes',
    'wallMs',
  ])
})

t.test('JSON: UTF-8 is readable, other bytes are kept, a terminal is safe', async t => {
  const line = formatJson({ ...least, target: '/caf\xc3\xa9', userAgent: 'caf\xe9\x9b\x7f\n"' })
  t.match(line, '"target":"/café"')
  t.match(line, '"userAgent":"caf\xe9\\u009b\\u007f\\n\\""')
  t.equal(JSON.parse(line).userAgent, 'caf\xe9\x9b\x7f\n"')
})

t.test('property: one line, printable, whatever a client says; JSON comes back', async () => {
  const bytes = fc.uint8Array({ maxLength: 20 }).map(array => Buffer.from(array).toString('latin1'))
  fc.assert(
    fc.property(bytes, bytes, bytes, bytes, (target, referer, userAgent, script) => {
      const entry = { ...least, target, referer, userAgent, script }
      const combined = formatCombined(entry)
      assert.match(combined, /^[\x20-\x7e]*$/)
      const quoted =
        /^\S+ - - \[.*?\] "(?:[^"\\]|\\.)*" 200 0 "(?:[^"\\]|\\.)*" "(?:[^"\\]|\\.)*" id=\S+ script=\S* wall=\S+$/
      assert.match(combined, quoted)
      const json = formatJson(entry)
      // biome-ignore lint/suspicious/noControlCharactersInRegex: what must not be there
      assert.doesNotMatch(json, /[\x00-\x1f\x7f-\x9f]/)
      assert.equal(JSON.parse(json).id, least.id)
    }),
  )
})
