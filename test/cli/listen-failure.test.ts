import t from 'tap'
import { explainListenFailure, listenFailureOf } from '../../src/cli/listen-failure.js'
import { defaultConfig } from '../../src/server/config.js'

const settings = {
  config: {
    ...defaultConfig,
    listen: [
      { kind: 'tcp', host: '127.0.0.1', port: 80 },
      { kind: 'tcp', host: '10.0.0.1', port: 80 },
      { kind: 'unix', path: '/run/x.sock' },
      { kind: 'tcp', host: 'name.test', port: 65_535 },
    ],
  },
  listenPlaces: [
    { file: 'c.yaml', line: 1, column: 1 },
    { file: 'c.yaml', line: 2, column: 1 },
    { file: 'c.yaml', line: 3, column: 1 },
    { file: 'c.yaml', line: 4, column: 1 },
  ],
} as const

t.test('which address, what is wrong, what to do', async t => {
  for (const [code, address, port, message] of [
    [
      'EADDRINUSE',
      '127.0.0.1',
      80,
      'c.yaml:1:1: 127.0.0.1:80 is taken by another process; use -p 81, or stop that process',
    ],
    [
      'EACCES',
      '127.0.0.1',
      80,
      'c.yaml:1:1: 127.0.0.1:80 may not be used: ports below 1024 need a privilege; use -p 8000, or give Postern the capability CAP_NET_BIND_SERVICE',
    ],
    [
      'EADDRNOTAVAIL',
      '10.0.0.1',
      80,
      'c.yaml:2:1: 10.0.0.1:80 is not an address of this machine; use --host 127.0.0.1, or 0.0.0.0 for all addresses',
    ],
    [
      'EADDRINUSE',
      '/run/x.sock',
      -1,
      'c.yaml:3:1: unix:/run/x.sock is in use by another process, or something else is at this path; stop that process, remove the file, or name another path',
    ],
    [
      'ENOTFOUND',
      'name.test',
      undefined,
      'c.yaml:4:1: name.test:65535 is a name that does not resolve; use --host 127.0.0.1, or correct the name',
    ],
    [
      'EADDRINUSE',
      '192.0.2.1',
      65_535,
      'c.yaml:4:1: name.test:65535 is taken by another process; use -p 8000, or stop that process',
    ],
  ] as const) {
    t.equal(explainListenFailure({ code, address, port }, settings).message, message)
  }
})

t.test('a default is nobody to blame', async t => {
  const failure = { code: 'EADDRINUSE', address: '127.0.0.1', port: 8000 }
  const { message } = explainListenFailure(failure, {
    config: defaultConfig,
    listenPlaces: [{ builtIn: true }],
  })
  t.equal(message, '127.0.0.1:8000 is taken by another process; use -p 8001, or stop that process')
})

t.test('errors of another kind are none of its business', async t => {
  t.equal(listenFailureOf(new Error('x')), undefined)
  t.equal(listenFailureOf('EADDRINUSE'), undefined)
  t.equal(
    listenFailureOf(Object.assign(new Error(), { code: 'ENOENT', syscall: 'open' })),
    undefined,
  )
  const error = Object.assign(new Error(), {
    code: 'EACCES',
    syscall: 'listen',
    port: 80,
    address: 'h',
  })
  t.same(listenFailureOf(error), { code: 'EACCES', port: 80, address: 'h' })
})
