/** A wsgi route of a configuration: defaults, what the workers are, the virtual environment, what is refused. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { WsgiRouteConfig } from '../../src/server/config.js'
import { divideConfig } from '../../src/server/divide.js'
import { hostProgram } from '../../src/wsgi/host.js'
import { type ConfigFolder, configFolder } from './config-support.js'

function wsgiRoute(folder: ConfigFolder, more: string): WsgiRouteConfig {
  const [route] = folder.parse(`routes: [{ path: /py, wsgi: "app:application", ${more} }]`).routes
  if (route?.kind !== 'wsgi') throw new Error('the text has no wsgi route')
  return route
}

t.test('every default', async t => {
  const folder = configFolder(t)
  const python = join(folder.path, 'bin/python-of-test')
  const route = wsgiRoute(folder, 'python: python-of-test')
  t.match(route, {
    path: '/py/',
    application: 'app:application',
    directory: folder.path,
    python,
    mode: 'workers',
    threads: 1,
    multiprocess: true,
    passAuthorization: true,
    requestBody: 'spool',
    timeouts: { connectMs: 5_000, graceMs: 3_000 },
  })
  t.match(route.workers, {
    command: [python, hostProgram, 'app:application', '--threads', '1', '--processes', '2'],
    directory: folder.path,
    count: { min: 2, max: 2 },
    stuckSignal: 'SIGUSR1',
    stuckDumpMs: 500,
    readyMs: 10_000,
    graceMs: 3_000,
  })
  t.ok(route.workers.watch.includes(folder.path))
})

t.test('settings', async t => {
  const folder = configFolder(t)
  const route = wsgiRoute(
    folder,
    'python: ./tool, directory: files, threads: 3, workers: { max: 5 }, recycle: { requests: 9 }, ' +
      'ready: 2s, stuck: { signal: SIGUSR2, dump: 1s }, timeouts: { grace: 7s }, env: { set: { A: b } }',
  )
  t.match(route, { directory: join(folder.path, 'files'), python: join(folder.path, 'tool') })
  t.match(route.workers, {
    directory: join(folder.path, 'files'),
    count: { min: 1, max: 5 },
    recycling: { requests: 9 },
    readyMs: 2_000,
    stuckSignal: 'SIGUSR2',
    stuckDumpMs: 1_000,
    graceMs: 7_000,
  })
  t.ok(route.workers.env.includes('A=b'))
  t.equal(wsgiRoute(folder, 'python: ./tool, workers: 1').multiprocess, false)
})

t.test('the folder of a virtual environment stands for its interpreter', async t => {
  const folder = configFolder(t)
  mkdirSync(join(folder.path, 'venv/bin'), { recursive: true })
  const python = join(folder.path, 'venv/bin/python')
  writeFileSync(python, '#!/bin/sh\n')
  chmodSync(python, 0o755)
  for (const given of ['venv', './venv/', 'venv/bin/python']) {
    t.equal(wsgiRoute(folder, `python: ${given}`).python, python, given)
  }
  t.equal(
    folder.refusal('routes: [{ path: /a, wsgi: "a:b", python: files }]'),
    'postern.yaml:1:43: routes[0].python: there is no program DIR/files/bin/python; install it, or correct the path',
  )
})

t.test('several server processes share the workers, and the application is told', async t => {
  const folder = configFolder(t)
  const config = folder.parse(
    'routes: [{ path: /py, wsgi: "app:application", python: ./tool, workers: 1 }]',
  )
  t.match(divideConfig(config, 2, 1).routes[0], {
    workers: { count: { max: 1 } },
    multiprocess: true,
  })
})

t.test('refused', async t => {
  const folder = configFolder(t)
  for (const [more, said] of [
    [
      'mode: warm, recycle: { age: 1h }',
      'routes[0].recycle: the mode warm has a process for each request, and no workers that stay; remove it, or write mode: workers',
    ],
    [
      'mode: cgi, threads: 2',
      'routes[0].threads: the mode cgi has a process for each request, and no workers that stay; remove it, or write mode: workers',
    ],
    [
      'threads: 0',
      'routes[0].threads: expected an integer from 1 to 1024, got 0; write for example 4',
    ],
    [
      'directory: nowhere',
      'routes[0].directory: there is no folder DIR/nowhere; create it, or correct the path',
    ],
    [
      'python: nothing',
      'routes[0].python: there is no program "nothing" on PATH; install it, or write its absolute path without arguments',
    ],
    [
      'workers: { min: 3, max: 2 }',
      'routes[0].workers.min: min is 3, more than max, which is 2; write at most 2, or raise max',
    ],
  ] as const) {
    const python = more.startsWith('python') ? '' : ', python: ./tool'
    const text = `routes: [{ path: /a, wsgi: "a:b", ${more}${python} }]`
    t.match(folder.refusal(text), said, more)
  }
})
