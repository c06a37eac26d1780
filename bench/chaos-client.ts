/**
 * A client of the chaos run: one kept connection, one request after the other, and what became of each.
 *
 * Uses node:http, which is not what is tested on this side. A request never waits longer than `limitMs`.
 */
import { Agent, request } from 'node:http'

/** What the worker does with a request (`programs/noting-worker.mjs`), and how it is sent. */
export interface Work {
  readonly kind: 'quick' | 'slow' | 'begun' | 'grow' | 'hold'
  readonly method: 'GET' | 'PUT' | 'POST'
  readonly bodyBytes: number
}

/** How one request went. */
export interface Outcome {
  readonly id: string
  readonly method: Work['method']
  readonly bodyBytes: number
  /** Undefined when there was no answer at all. */
  readonly status: number | undefined
  /** The answer as far as it came. */
  readonly text: string
  /** The answer came to the end that its framing had promised. */
  readonly whole: boolean
  /** When it was over, by performance.now. */
  readonly endedAt: number
}

const limitMs = 20_000

/** GET in every kind, bodies that fit one record and bodies that are streamed, and a PUT that may be repeated. */
export const mixedWork: readonly Work[] = [
  { kind: 'quick', method: 'GET', bodyBytes: 0 },
  { kind: 'slow', method: 'GET', bodyBytes: 0 },
  { kind: 'slow', method: 'POST', bodyBytes: 100 },
  { kind: 'quick', method: 'GET', bodyBytes: 0 },
  { kind: 'begun', method: 'GET', bodyBytes: 0 },
  { kind: 'slow', method: 'PUT', bodyBytes: 2_000 },
  { kind: 'quick', method: 'POST', bodyBytes: 60_000 },
]

/**
 * Sends `work` round and round until `going` says no; `onOutcome` hears of each.
 * @param origin `http://127.0.0.1:8000/prefix`
 * @param name begins the ids of its requests
 */
export async function runClient(
  origin: string,
  name: string,
  work: readonly Work[],
  going: () => boolean,
  onOutcome: (outcome: Outcome) => void,
): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  // Not all clients the same at the same time.
  const shift = Math.floor(Math.random() * work.length)
  for (let n = 0; going(); n++) {
    const next = work[(n + shift) % work.length]
    if (next !== undefined) onOutcome(await send(agent, origin, `${name}-${n}`, next))
  }
  agent.destroy()
}

function send(agent: Agent, origin: string, id: string, work: Work): Promise<Outcome> {
  const { method, bodyBytes, kind } = work
  return new Promise(resolve => {
    let status: number | undefined
    let text = ''
    const settle = (whole: boolean): void => {
      resolve({ id, method, bodyBytes, status, text, whole, endedAt: performance.now() })
    }
    const headers = method === 'GET' ? {} : { 'Content-Length': bodyBytes }
    const signal = AbortSignal.timeout(limitMs)
    const sent = request(`${origin}/${kind}/${id}`, { agent, method, headers, signal })
    sent.once('response', response => {
      status = response.statusCode
      response.setEncoding('latin1').on('data', chunk => {
        text += chunk
      })
      response.once('error', () => settle(false))
      response.once('end', () => settle(response.complete))
    })
    sent.once('error', error => {
      if (text === '') text = String(error)
      settle(false)
    })
    sent.end(Buffer.alloc(bodyBytes, 'x'))
  })
}
