/**
 * What a mode answers, asked before anything is measured: every mode has to answer the same request alike, or the
 * numbers would compare different work.
 *
 * Some programs never give the same body twice (a clock, a pid). So each mode is asked several times; bodies that
 * differ within one mode are not compared, status and type always are. Bodies are held while they are compared, up to
 * `mostAnswerBytes`.
 */
import { createHash } from 'node:crypto'
import { request } from 'node:http'
import { type Expected, mostComparedBytes } from './answer-check.js'
import { BenchFailure } from './child.js'
import type { Answer, Comparison } from './result.js'

/** An answer with its body. */
export interface WholeAnswer extends Answer {
  readonly body: Buffer
}

/** What the modes agree on. */
export interface Agreement {
  readonly answer: Answer
  readonly comparison: Comparison
  readonly expected: Expected
}

export const mostAnswerBytes = 256 * 1024 * 1024

const answerMs = 60_000

/**
 * One request on a connection of its own, through node:http: a second opinion beside the load generator's reader.
 * @throws BenchFailure when there is no whole answer within a minute
 */
export function ask(
  { host, port }: { readonly host: string; readonly port: number },
  target: string,
  signal: AbortSignal,
): Promise<WholeAnswer> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void =>
      reject(new BenchFailure(`no answer to ${target}: ${error.message}`, { cause: error }))
    const outgoing = request({ host, port, path: target, agent: false, signal }, response => {
      const chunks: Buffer[] = []
      let length = 0
      response.on('data', (chunk: Buffer) => {
        length += chunk.length
        if (length > mostAnswerBytes) outgoing.destroy(new Error('it is too long'))
        else chunks.push(chunk)
      })
      response.on('error', fail)
      response.on('end', () => {
        const body = Buffer.concat(chunks)
        const status = response.statusCode ?? 0
        const type = response.headers['content-type'] ?? ''
        const sha256 = createHash('sha256').update(body).digest('hex')
        resolve({ status, type, length, sha256, body })
      })
    })
    outgoing.setTimeout(answerMs, () => outgoing.destroy(new Error('it takes too long')))
    outgoing.on('error', fail)
    outgoing.end()
  })
}

/**
 * What is right for all modes.
 * @param answers title of a mode → what it answered when it was asked several times
 * @throws BenchFailure that names the modes whose answers differ, or the one whose answer is an error
 */
export function agree(answers: ReadonlyMap<string, readonly WholeAnswer[]>): Agreement {
  const all = [...answers].flatMap(([title, list]) => list.map(answer => ({ title, answer })))
  const [first] = all
  if (first === undefined) throw new BenchFailure('no mode has answered')
  for (const { title, answer } of all) {
    if (answer.status >= 400) {
      throw new BenchFailure(
        `${title} answers with ${answer.status}, so there is nothing to measure`,
      )
    }
  }
  const varies = [...answers.values()].some(list => !list.every(each => sameBody(each, list[0])))
  for (const { title, answer } of all) {
    const same = sameHead(answer, first.answer) && (varies || sameBody(answer, first.answer))
    if (same) continue
    throw new BenchFailure(
      `${first.title} and ${title} answer differently, so they cannot be compared: ${describe(first.answer)}; ${describe(answer)}`,
    )
  }
  const { status, type, length, sha256, body } = first.answer
  return {
    answer: { status, type, length, sha256 },
    comparison: varies ? 'status and type' : 'body',
    expected: {
      status,
      type,
      length: varies ? undefined : length,
      body: varies || length > mostComparedBytes ? undefined : body.toString('base64'),
    },
  }
}

function sameHead(one: Answer, other: Answer): boolean {
  return one.status === other.status && one.type === other.type
}

function sameBody(one: Answer, other: Answer | undefined): boolean {
  return one.length === other?.length && one.sha256 === other.sha256
}

function describe({ status, type, length, sha256 }: Answer): string {
  const media = type === '' ? 'no type' : type
  return `${status}, ${media}, ${length} bytes (SHA-256 ${sha256.slice(0, 8)})`
}
