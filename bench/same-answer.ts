/**
 * The check before any measuring: every server has to give the same answer to the same request, or the
 * numbers would compare different work.
 */
import { createHash } from 'node:crypto'
import { request } from 'node:http'
import type { Row } from './rows.js'

/** What is compared: status, media type and a hash of the body. */
export interface Answer {
  readonly status: number
  readonly type: string
  readonly length: number
  readonly sha256: string
}

/** One request of the row, on a connection of its own; rejects when there is no complete answer. */
export function ask(port: number, row: Row): Promise<Answer> {
  const body = row.postBytes === undefined ? undefined : Buffer.alloc(row.postBytes, 'x')
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        host: '127.0.0.1',
        port,
        path: row.path,
        method: body ? 'POST' : 'GET',
        headers: body ? { 'content-length': body.length } : {},
        agent: false,
      },
      response => {
        const hash = createHash('sha256')
        let length = 0
        response.on('data', (chunk: Buffer) => {
          hash.update(chunk)
          length += chunk.length
        })
        response.on('error', reject)
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            type: response.headers['content-type'] ?? '',
            length,
            sha256: hash.digest('hex'),
          }),
        )
      },
    )
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

/** Throws, naming the servers, unless all answers are 200, of the row's length, and equal. */
export function requireSame(row: Row, answers: ReadonlyMap<string, Answer>): void {
  const [first] = answers.values()
  for (const [server, answer] of answers) {
    const right =
      answer.status === 200 &&
      answer.length === row.answerBytes &&
      answer.type === first?.type &&
      answer.sha256 === first.sha256
    if (right) continue
    const all = [...answers].map(([name, each]) => `${name}: ${JSON.stringify(each)}`).join('\n')
    throw new Error(`${row.name}: the answer of ${server} differs\n${all}`)
  }
}
