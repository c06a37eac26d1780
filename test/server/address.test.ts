import t from 'tap'
import { describeListen, parseAddress, parseHost, parseListen } from '../../src/server/address.js'

t.test('where to listen, and the way back', async t => {
  for (const [given, text] of [
    [8000, '127.0.0.1:8000'],
    ['8000', '127.0.0.1:8000'],
    ['0.0.0.0:80', '0.0.0.0:80'],
    ['localhost:0', 'localhost:0'],
    ['[::1]:8000', '[::1]:8000'],
    ['[::]:65535', '[::]:65535'],
    ['unix:/run/a b.sock', 'unix:/run/a b.sock'],
    ['unix:rel.sock', 'unix:rel.sock'],
  ] as const) {
    const address = parseListen(given)
    t.equal(address && describeListen(address), text)
  }
})

t.test('nowhere to listen', async t => {
  for (const given of [
    '',
    'x',
    ':80',
    '::1:80',
    '[::1]',
    '[x]:80',
    'h:',
    'h:-1',
    'h:65536',
    65536,
    -1,
    1.5,
    'a b:80',
    'a/b:80',
    'unix:',
    'unix:a\0b',
    null,
    ['8000'],
    'tcp:h:80',
  ]) {
    t.equal(parseListen(given), undefined, JSON.stringify(given))
  }
})

t.test('addresses of gateways', async t => {
  t.same(parseAddress('tcp:app.test:9000'), { kind: 'tcp', host: 'app.test', port: 9000 })
  t.same(parseAddress('app.test:9000'), { kind: 'tcp', host: 'app.test', port: 9000 })
  t.same(parseAddress('unix:/run/x'), { kind: 'unix', path: '/run/x' })
  for (const given of ['9000', 9000, 'app.test:0', 'tcp:', 'tcp:9000', 'http://x:1']) {
    t.equal(parseAddress(given), undefined, String(given))
  }
})

t.test('hosts', async t => {
  for (const host of ['localhost', 'a.b-c.test', '127.0.0.1', '::1']) t.equal(parseHost(host), host)
  t.equal(parseHost('[::1]'), '::1')
  for (const host of ['', 'a:1', '[a]', 'a b', 'a/', '-a', 'a.'])
    t.equal(parseHost(host), undefined)
})
