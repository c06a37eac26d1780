/**
 * The environment of a program: what of the host reaches it, who wins, how large it may get.
 */
import { execFileSync } from 'node:child_process'
import t from 'tap'
import { createEnvironment } from '../../src/cgi/environment.js'
import type { ErrorCode } from '../../src/errors.js'

const code = (code: ErrorCode) => ({ name: 'GatewayError', code })
const nothing = { set: {}, pass: [] }
const noVariables = new Map<string, string>()

t.test('B-0, L-11: of the host only the allow-list, when set', async t => {
  const host = {
    PATH: '/bin',
    HOME: '/home/a',
    TMPDIR: '/t',
    TZ: 'UTC',
    LANG: 'C',
    LD_LIBRARY_PATH: '/lib',
    SECRET: '1',
    HTTP_PROXY: 'http://p',
    NODE_OPTIONS: '-x',
  }
  t.strictSame(createEnvironment(nothing, host)(noVariables), [
    'PATH=/bin',
    'HOME=/home/a',
    'TMPDIR=/t',
    'TZ=UTC',
    'LANG=C',
    'LD_LIBRARY_PATH=/lib',
  ])
})

t.test('B-0: PATH falls back to a fixed safe list', async t => {
  const safe = ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin']
  t.strictSame(createEnvironment(nothing, {})(noVariables), safe)
  t.strictSame(createEnvironment(nothing, { PATH: '' })(noVariables), safe)
})

t.test('B-0: env.pass names variables of the host, in their own case', async t => {
  const build = createEnvironment(
    { set: {}, pass: ['Also', 'NOT_SET'] },
    { PATH: '/bin', Also: 'é' },
  )
  t.strictSame(build(noVariables), ['PATH=/bin', 'Also=\xc3\xa9'])
})

t.test('B-0, B-4: env.set wins over host and request, its names are made fit', async t => {
  const set = { 'server-name': 'set', PATH: '/set', Über: 'é€', EMPTY: '' }
  const build = createEnvironment({ set, pass: ['TZ'] }, { PATH: '/bin', TZ: 'UTC' })
  const variables = new Map([
    ['SERVER_NAME', 'request'],
    ['QUERY_STRING', ''],
  ])
  t.strictSame(build(variables).sort(), [
    'EMPTY=',
    'PATH=/set',
    'QUERY_STRING=',
    'SERVER_NAME=set',
    'TZ=UTC',
    '_BER=\xc3\xa9\xe2\x82\xac',
  ])
})

t.test('B-0: no variable of a request replaces one of the host', async t => {
  const build = createEnvironment({ set: {}, pass: ['HTTP_X'] }, { PATH: '/bin', HTTP_X: 'host' })
  const variables = new Map([
    ['PATH', '/evil'],
    ['HTTP_X', 'evil'],
    ['HTTP_Y', '1'],
  ])
  t.strictSame(build(variables), ['PATH=/bin', 'HTTP_X=host', 'HTTP_Y=1'])
})

t.test('requests do not see each other', async t => {
  const build = createEnvironment(nothing, { PATH: '/bin' })
  build(new Map([['A', '1']])).push('C=3')
  t.strictSame(build(new Map([['B', '2']])), ['PATH=/bin', 'B=2'])
})

t.test('B-2: NUL is refused', async t => {
  const build = createEnvironment(nothing, {})
  t.throws(() => build(new Map([['PATH_INFO', '/a\0b']])), code('BAD_HEADER'))
  t.throws(() => createEnvironment({ set: { A: 'a\0b' }, pass: [] }, {}), TypeError)
})

t.test('B-3: one variable may have 128 KiB with its NUL, not a byte more', async t => {
  const build = createEnvironment(nothing, { PATH: '/bin' })
  const longest = 128 * 1024 - 'HTTP_A='.length - 1
  const [, entry = ''] = build(new Map([['HTTP_A', 'a'.repeat(longest)]]))
  t.equal(entry.length, 128 * 1024 - 1)
  t.doesNotThrow(() => execFileSync('/bin/true', { env: { HTTP_A: entry.slice(7) } }), 'it fits')
  t.throws(
    () => build(new Map([['HTTP_A', 'a'.repeat(longest + 1)]])),
    code('ENVIRONMENT_TOO_LARGE'),
  )
  const set = { A: 'a'.repeat(128 * 1024) }
  t.throws(
    () => createEnvironment({ set, pass: [] }, {})(noVariables),
    code('ENVIRONMENT_TOO_LARGE'),
  )
})

t.test('B-3: all together stay below what the system takes', async t => {
  const build = createEnvironment(nothing, { PATH: '/bin' })
  const some = (count: number) =>
    new Map(Array.from({ length: count }, (_, i) => [`HTTP_A${i}`, value]))
  const value = 'a'.repeat(64 * 1024 - 'HTTP_A10='.length - 9)
  t.equal(build(some(29)).length, 30)
  t.throws(() => build(some(31)), code('ENVIRONMENT_TOO_LARGE'))
})
