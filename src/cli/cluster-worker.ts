/**
 * One of several server processes: it serves its part of the configuration until the first process says
 * otherwise, or has gone.
 *
 * It decides nothing: orders come as messages from `cluster.ts`. Starting is the same code as for a
 * server alone.
 */
import cluster from 'node:cluster'
import type { Config } from '../server/config.js'
import { StartFailure } from '../server/start-failure.js'
import type { Order, Report } from './cluster.js'
import { listenFailureOf } from './listen-failure.js'
import { createLogger } from './log-lines.js'
import { openOutput } from './output.js'
import { startHere } from './serve.js'
import type { Started } from './started.js'

/**
 * Obeys until the end.
 * @returns the exit code
 */
export function runWorker(env: NodeJS.ProcessEnv): Promise<number> {
  const output = openOutput(1)
  const errors = openOutput(2)
  let starting: Promise<Started> | undefined
  let draining = false
  const interrupted = new AbortController()

  const start = async (config: Config): Promise<Started> =>
    startHere(config, await createLogger(config.log, errors), output, env, interrupted.signal)
  const flush = () => Promise.all([output.flush(), errors.flush()])

  return new Promise(resolve => {
    const serve = (config: Config): void => {
      starting = start(config)
      starting.then(
        ({ addresses, spawner }) =>
          report({ kind: 'listening', listening: { addresses, spawner } }),
        async (error: unknown) => {
          await report(failureOf(error))
          resolve(1)
        },
      )
    }
    // A start that is broken off has its end above.
    const whenStarted = (use: (started: Started) => unknown): Promise<unknown> => {
      interrupted.abort()
      return Promise.resolve(starting).then(started => started && use(started))
    }
    const drain = (): void => {
      if (draining) return
      draining = true
      whenStarted(started => started.close())
        .then(flush)
        .then(() => resolve(0))
        .catch(() => {})
    }
    const kill = (): void => {
      whenStarted(started => started.kill())
        .then(() => resolve(0))
        .catch(() => {})
    }
    const reload = (): void => {
      Promise.resolve(starting)
        .then(started => started?.reload())
        .then(
          () => report({ kind: 'reloaded', problem: undefined }),
          (error: unknown) => report({ kind: 'reloaded', problem: messageOf(error) }),
        )
    }

    process.on('message', (order: Order) => {
      if (order.kind === 'serve') serve(order.config)
      else if (order.kind === 'reload') reload()
      else if (order.kind === 'drain') drain()
      else kill()
    })
    // Ctrl-C and the end of a terminal reach the whole group; the first process decides what they mean.
    process.on('SIGINT', () => {})
    process.on('SIGHUP', () => {})
    process.on('SIGTERM', drain)
    cluster.worker?.on('disconnect', () => {
      // The first process is gone. Node would exit now; what runs is finished first.
      if (cluster.worker !== undefined) cluster.worker.exitedAfterDisconnect = true
      drain()
    })
    report({ kind: 'ready' })
  })
}

/** Settles when the message is on its way; there is nobody to tell when that fails. */
function report(message: Report): Promise<void> {
  return new Promise(resolve => {
    if (process.send === undefined || !process.connected) return resolve()
    process.send(message, () => resolve())
  })
}

function failureOf(error: unknown): Report {
  return {
    kind: 'failed',
    message: messageOf(error),
    listen: listenFailureOf(error),
    workers: error instanceof StartFailure,
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
