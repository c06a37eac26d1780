/**
 * `postern call`: one request to a FastCGI, SCGI or uwsgi application, its answer on stdout; curl for these.
 *
 * The head is read only to know where the body begins and what the status is; nothing is repaired. What the
 * application writes on stderr goes to stderr as it is, and so do the lines of --trace.
 */
import { once } from 'node:events'
import type { Writable } from 'node:stream'
import { HeadReader } from '../cgi/head-reader.js'
import { ResponseHeadParser } from '../cgi/response-head.js'
import { asGatewayError, type ErrorCode, GatewayError } from '../errors.js'
import { type ClientEnd, FastCGIClient } from '../fastcgi/client.js'
import type { ByteString } from '../gateway.js'
import { encodeScgiRequest } from '../scgi/request.js'
import { printable } from '../server/printable.js'
import { encodeUwsgiPacket } from '../uwsgi/packet.js'
import { type CallFlags, readCallFlags } from './call-flags.js'
import { type CallBody, callBody, callVariables } from './call-request.js'
import { type CallAnswer, callSocket } from './call-socket.js'

const exitCodes = { answered: 0, noAnswer: 1, failed: 22 } as const

/** Larger than any server's: what is looked at here is often what a server has refused. */
const headLimits = { maxBytes: 1 << 20, maxFields: 10_000, maxLineBytes: 1 << 20 }

/**
 * Runs the command; settles with the exit code: 0 answered, 1 no answer, 22 a status of 400 or more with --fail.
 * @throws ConfigError for a mistake in the words
 */
export async function runCall(words: readonly string[], version: string): Promise<number> {
  const flags = readCallFlags(words, version)
  if (flags === undefined) return exitCodes.answered
  const body = await callBody(flags.data, process.stdin)
  const params = callVariables(flags, body?.length)
  let answer: CallAnswer | undefined
  try {
    answer = ask(flags, params, body)
    const { stdout } = answer
    process.stdout.on('error', error => stdout.destroy(error))
    const status = await printAnswer(answer, flags, process.stdout)
    refuseEnd(await answer.ended, status !== undefined)
    return flags.fail && status !== undefined && status >= 400
      ? exitCodes.failed
      : exitCodes.answered
  } catch (error) {
    if (isReaderGone(error)) return exitCodes.answered
    const { message, remedy } = asGatewayError(error)
    const cause = message.endsWith('.') ? message : `${message}.`
    process.stderr.write(`postern: call: ${printable(`${cause} ${remedy}`)}\n`)
    return exitCodes.noAnswer
  } finally {
    answer?.stdout.destroy()
  }
}

/** Sends the request as the protocol has it. @throws GatewayError for variables that it cannot carry */
function ask(
  flags: CallFlags,
  params: ReadonlyMap<ByteString, ByteString>,
  body: CallBody | undefined,
): CallAnswer {
  const { protocol, address, role, timeoutMs, modifier1 } = flags
  const given = body === undefined ? {} : { body: body.content }
  const trace = flags.trace
    ? { trace: (line: string) => void process.stderr.write(`${line}\n`) }
    : {}
  if (protocol !== 'fastcgi') {
    const head =
      protocol === 'scgi'
        ? encodeScgiRequest(params, body?.length ?? 0)
        : encodeUwsgiPacket(params, modifier1)
    return callSocket({ address, protocol, head, timeoutMs, ...given, ...trace })
  }
  const answer = new FastCGIClient().request({
    address,
    role,
    params,
    timeoutMs,
    ...given,
    ...trace,
  })
  // What it said before it broke off is worth reading, and it must not keep the answer from flowing.
  answer.stderr.on('data', chunk => process.stderr.write(chunk))
  return answer
}

/** Writes head (with -i) and body; the status, or undefined when nothing was printed. */
async function printAnswer(
  { stdout }: CallAnswer,
  flags: CallFlags,
  target: Writable,
): Promise<number | undefined> {
  const reader = new HeadReader(newParser, () => {}, false)
  let status: number | undefined
  let printed = false
  for await (const chunk of stdout as AsyncIterable<Buffer>) {
    printed = true
    if (flags.include || status !== undefined) await write(target, chunk)
    if (status !== undefined) continue
    const read = reader.push(chunk)
    if (read === undefined) continue
    status = read.head.status
    if (!flags.include) await write(target, read.rest)
  }
  if (status !== undefined || !printed) return status
  const end = reader.finish()
  if (end instanceof GatewayError) throw end
  return end.status
}

function newParser(): ResponseHeadParser {
  return new ResponseHeadParser({
    ...headLimits,
    statusLine: 'accepted',
    sendfile: false,
    decodeChunked: true,
  })
}

/** @throws GatewayError for an end that is no answer */
function refuseEnd(end: ClientEnd | undefined, answered: boolean): void {
  if (end === undefined) {
    if (!answered) throw new GatewayError('UPSTREAM_NO_OUTPUT')
    return
  }
  const { appStatus, protocolStatus } = end
  const code = refusals[protocolStatus]
  if (code !== undefined) throw new GatewayError(code)
  if (protocolStatus !== 0) {
    throw new GatewayError('PROTOCOL_ERROR', `Its protocol status is ${protocolStatus}.`)
  }
  if (!answered) throw new GatewayError('UPSTREAM_NO_OUTPUT', `Its status is ${appStatus}.`)
  if (appStatus !== 0) {
    process.stderr.write(`postern: call: the program ended with status ${appStatus}\n`)
  }
}

/** By protocolStatus (FastCGI §5.5). */
const refusals: readonly (ErrorCode | undefined)[] = [
  undefined,
  'PROTOCOL_ERROR',
  'UPSTREAM_OVERLOADED',
  'UPSTREAM_ROLE',
]

async function write(target: Writable, bytes: Buffer): Promise<void> {
  if (bytes.length > 0 && !target.write(bytes)) await once(target, 'drain')
}

/** `postern call … | head`: whoever has read enough is no failure. */
function isReaderGone(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EPIPE'
}
