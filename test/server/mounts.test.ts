/** The workers of all routes start together, and end together when one does not. */
import t, { type Test } from 'tap'
import type { Gateway } from '../../src/gateway.js'
import type { Mount } from '../../src/server/mount.js'
import { startWorkers } from '../../src/server/mounts.js'
import { StartFailure } from '../../src/server/start-failure.js'
import { within } from '../support/wait-for.js'

/** A mount that writes down what is done to it; its workers are ready when `start` settles. */
function mount(
  path: string,
  done: string[],
  start?: (killed: Promise<void>) => Promise<void>,
): Mount {
  let kill = (): void => {}
  const killed = new Promise<void>(resolve => {
    kill = resolve
  })
  const gateway: Gateway = {
    send: () => Promise.reject(new Error('not asked here')),
    close: async () => void done.push(`close ${path}`),
    kill: () => {
      done.push(`kill ${path}`)
      kill()
    },
  }
  const workers = {
    start: async () => {
      done.push(`start ${path}`)
      await start?.(killed)
    },
    reload: async () => {},
  }
  return { path, gateway, encodedSlash: 'reject', ...(start === undefined ? {} : { workers }) }
}

const never = new Promise<void>(() => {})

async function settled(t: Test, starting: Promise<void>): Promise<unknown> {
  return await within(
    `${t.name}: it is over`,
    starting.then(
      () => undefined,
      (error: unknown) => error,
    ),
  )
}

t.test('all start at once, and are waited for', async t => {
  const done: string[] = []
  let ready = (): void => {}
  const late = new Promise<void>(resolve => {
    ready = resolve
  })
  const mounts = [mount('/a/', done, () => late), mount('/b/', done, async () => ready())]
  t.equal(await settled(t, startWorkers([...mounts, mount('/c/', done)], undefined)), undefined)
  t.same(done, ['start /a/', 'start /b/'])
})

t.test('one that fails ends all, even those that are not ready yet', async t => {
  const done: string[] = []
  const failure = new StartFailure('/b/: no')
  const fails = async (): Promise<void> => {
    throw failure
  }
  const mounts = [mount('/a/', done, () => never), mount('/b/', done, fails), mount('/c/', done)]
  t.equal(await settled(t, startWorkers(mounts, undefined)), failure)
  t.same(
    done.slice(2),
    ['a', 'b', 'c'].map(name => `kill /${name}/`).concat(['close /a/', 'close /b/', 'close /c/']),
  )
})

t.test('a signal breaks off the wait, with its reason', async t => {
  const done: string[] = []
  const stop = new AbortController()
  const reason = new Error('enough')
  const mounts = [
    mount('/a/', done, async killed => {
      stop.abort(reason)
      await killed
      throw new Error('the workers were ended')
    }),
  ]
  t.equal(await settled(t, startWorkers(mounts, stop.signal)), reason)
  t.same(done, ['start /a/', 'kill /a/', 'kill /a/', 'close /a/'])
  t.equal(await settled(t, startWorkers([mount('/b/', done)], stop.signal)), reason, 'before it')
})
