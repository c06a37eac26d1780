/** A configuration without a file, and flags on top of one with. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import t, { type Test } from 'tap'
import {
  type Config,
  defaultCgiRoute,
  defaultConfig,
  defaultFastCgiRoute,
  defaultProxyRoute,
  defaultScgiRoute,
  defaultUwsgiRoute,
  type FastCgiRoute,
} from '../../src/server/config.js'
import { applyOverrides, configForFolder } from '../../src/server/config-folder.js'

function folderWith(t: Test, ...names: string[]): string {
  const path = realpathSync(mkdtempSync(join(tmpdir(), 'postern-folder-')))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  for (const name of names) mkdirSync(join(path, name))
  return path
}

t.test('./public and ./cgi-bin when they are there', async t => {
  const path = folderWith(t, 'public', 'cgi-bin')
  const place = { path: '/cgi-bin/', target: join(path, 'cgi-bin'), program: false }
  t.same(configForFolder(path), {
    ...defaultConfig,
    root: join(path, 'public'),
    routes: [{ ...defaultCgiRoute, ...place }],
  })
})

t.test('the folder itself and no route when they are not', async t => {
  const path = folderWith(t)
  writeFileSync(join(path, 'cgi-bin'), 'a file')
  t.match(configForFolder(path), { root: path, routes: [] })
})

t.test('folders that flags name must be there', async t => {
  const path = folderWith(t, 'site')
  writeFileSync(join(path, 'file'), '')
  const nowhere = join(path, 'nowhere')
  t.throws(() => configForFolder(nowhere), {
    message: `the folder to serve: there is no folder ${nowhere}; create it, or correct the path`,
  })
  t.throws(() => configForFolder(path, { root: nowhere }), {
    message: /^--root: there is no folder /,
  })
  t.throws(() => configForFolder(path, { cgiBin: join(path, 'file') }), {
    message: /^--cgi-bin: .*file is not a folder; /,
  })
})

t.test('flags win over the configuration', async t => {
  const path = folderWith(t, 'site', 'scripts')
  const config = applyOverrides(defaultConfig, {
    host: '0.0.0.0',
    port: 0,
    root: join(path, 'site'),
    cgiBin: join(path, 'scripts'),
    dev: true,
    processes: 4,
    access: 'off',
    level: 'debug',
  })
  t.match(config, {
    listen: [{ kind: 'tcp', host: '0.0.0.0', port: 0 }],
    root: join(path, 'site'),
    routes: [{ path: '/cgi-bin/', target: join(path, 'scripts') }],
    dev: true,
    processes: 4,
    log: { access: 'off', level: 'debug' },
  })
  t.same(applyOverrides(config, {}), config, 'no flags change nothing')
})

t.test('a flag for one half of the address keeps the other', async t => {
  const listen: Config['listen'] = [
    { kind: 'unix', path: '/run/x' },
    { kind: 'tcp', host: '::1', port: 8080 },
  ]
  const config = { ...defaultConfig, listen }
  t.same(applyOverrides(config, { port: 9000 }).listen, [{ kind: 'tcp', host: '::1', port: 9000 }])
  t.same(applyOverrides(config, { host: 'a.test' }).listen, [
    { kind: 'tcp', host: 'a.test', port: 8080 },
  ])
  const onlyUnix = { ...defaultConfig, listen: listen.slice(0, 1) }
  t.same(applyOverrides(onlyUnix, { port: 9000 }).listen, [
    { kind: 'tcp', host: '127.0.0.1', port: 9000 },
  ])
})

t.test('--cgi-bin keeps the other settings of the route', async t => {
  const path = folderWith(t, 'scripts')
  const route = {
    ...defaultCgiRoute,
    path: '/cgi-bin/',
    target: '/old',
    program: false,
    processes: 3,
  }
  const other = { ...route, path: '/x/' }
  const { routes } = applyOverrides(
    { ...defaultConfig, routes: [route, other] },
    { cgiBin: join(path, 'scripts') },
  )
  t.same(routes, [other, { ...route, target: join(path, 'scripts') }])
})

t.test(
  '--fastcgi keeps the other settings of the route, and replaces one of another kind',
  async t => {
    const route: FastCgiRoute = {
      ...defaultFastCgiRoute,
      path: '/app/',
      backend: { kind: 'addresses', addresses: [{ kind: 'unix', path: '/old' }] },
      capacity: 3,
    }
    const place = { path: '/x/', target: '/srv', program: false }
    const config = { ...defaultConfig, routes: [route, { ...defaultCgiRoute, ...place }] }
    const address = { kind: 'tcp', host: 'h', port: 1 } as const
    const { routes } = applyOverrides(config, {
      mounts: [
        { kind: 'fastcgi', path: '/app/', address: { kind: 'unix', path: 'new' } },
        { kind: 'fastcgi', path: '/x/', address },
        { kind: 'scgi', path: '/s/', address },
        { kind: 'uwsgi', path: '/u/', address },
        { kind: 'proxy', path: '/h/', address },
      ],
    })
    t.same(routes, [
      {
        ...route,
        backend: { kind: 'addresses', addresses: [{ kind: 'unix', path: resolve('new') }] },
      },
      { ...defaultFastCgiRoute, path: '/x/', backend: { kind: 'addresses', addresses: [address] } },
      { ...defaultScgiRoute, path: '/s/', addresses: [address] },
      { ...defaultUwsgiRoute, path: '/u/', addresses: [address] },
      { ...defaultProxyRoute, path: '/h/', addresses: [address] },
    ])
  },
)

t.test('--cgi-bin replaces a route of another kind', async t => {
  const target = folderWith(t)
  const backend = { kind: 'addresses', addresses: [] } as const
  const fastcgi: FastCgiRoute = { ...defaultFastCgiRoute, path: '/cgi-bin/', backend }
  const { routes } = applyOverrides({ ...defaultConfig, routes: [fastcgi] }, { cgiBin: target })
  t.same(routes, [{ ...defaultCgiRoute, path: '/cgi-bin/', target, program: false }])
})
