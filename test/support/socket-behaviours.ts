/**
 * Every behaviour of the gateway contract (test/contract/gateway.ts) as scripts of an SCGI or uwsgi application
 * inside the test process.
 *
 * The variable NOTES of a request names the folder where a test and these scripts leave notes.
 */
import { existsSync, writeFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import type { SeenSocketRequest, SocketScript } from './socket-worker.js'

const tickMs = 20
const largeBytes = 8 * 1024 * 1024
const octets = 'Content-Type: application/octet-stream\r\n\r\n'
const plain = 'Content-Type: text/plain\r\n\r\n'

const noteOf = ({ variables }: SeenSocketRequest, name: string): string =>
  `${variables.get('NOTES')}/${name}`

async function inPieces({ socket }: SeenSocketRequest, pieces: readonly string[]): Promise<void> {
  for (const piece of pieces) {
    socket.write(piece)
    await pause(tickMs)
  }
  socket.end()
}

async function drip(request: SeenSocketRequest): Promise<void> {
  request.socket.write(`${plain}one`)
  while (!existsSync(noteOf(request, 'go'))) await pause(tickMs)
  request.answer('two')
}

export const behaviours: Readonly<Record<string, SocketScript>> = {
  '/environment': request => {
    const entries = [...request.variables].map(([name, value]) => `${name}=${value}\0`)
    request.answer(Buffer.from(octets + entries.join(''), 'latin1'))
  },
  '/echo': request => {
    const { variables, socket } = request
    socket.write(`X-Method: ${variables.get('REQUEST_METHOD')}\r\n`)
    socket.write(`X-Length: ${variables.get('CONTENT_LENGTH') ?? 'unset'}\r\n\r\n`)
    void request.body().then(body => request.answer(body))
  },
  '/missing': request => request.answer('Status: 404 Not Here\r\nX-A: 1\r\nX-A: 2\r\n\r\ngone'),
  '/cookies': request => request.answer('Set-Cookie: a=1\nSet-Cookie: b=2\nSet-Cookie: c=3\n\n'),
  '/noContent': request => request.answer('Status: 204\r\n\r\nbody'),
  '/splitHead': request =>
    void inPieces(request, ['Content-Ty', 'pe: text/plain\r', '\n\r', '\nwhole']),
  '/drip': request => void drip(request),
  '/hang': request => {
    request.socket.write(`${plain}started\n`)
    request.socket.on('end', () => writeFileSync(noteOf(request, 'over'), 'over\n'))
  },
  '/mute': request => request.answer(''),
  '/cut': request => request.answer('Content-Length: 20\r\n\r\n0123456789'),
  '/large': request => {
    request.socket.write(octets)
    request.answer(Buffer.alloc(largeBytes))
  },
}
