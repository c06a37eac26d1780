/**
 * One connection: ids, pauses, the limit of its queue, and its ends (FastCGI §3).
 */
import t, { type Test } from 'tap'
import type { GatewayError } from '../../src/errors.js'
import { type ConnectionRequest, FastCgiConnection } from '../../src/fastcgi/connection.js'
import { begin, end, hex, PARAMS, record, STDERR, STDIN, STDOUT } from '../support/fastcgi-bytes.js'
import { type ScriptedWorker, startWorker } from '../support/fastcgi-worker.js'
import { settled, waitFor } from '../support/wait-for.js'

/** A request that notes what it is told. */
class Noted implements ConnectionRequest {
  readonly told: string[] = []
  bytes = 0
  error: GatewayError | undefined

  connected(): void {
    this.told.push('connected')
  }
  stdout(content: Buffer): void {
    this.bytes += content.length
    this.told.push(`stdout ${content.toString('latin1').slice(0, 20)}`)
  }
  stdoutEnd(): void {
    this.told.push('stdoutEnd')
  }
  stderr(content: Buffer): void {
    this.told.push(`stderr ${content}`)
  }
  end(appStatus: number, status: number): void {
    this.told.push(`end ${appStatus} ${status}`)
  }
  gone(error: GatewayError, connected: boolean): void {
    this.error = error
    this.told.push(`gone ${error.code} ${connected}`)
  }
  drained(): void {
    this.told.push('drained')
  }
  deaf(): void {
    this.told.push('deaf')
  }
}

interface Subject {
  readonly worker: ScriptedWorker
  readonly connection: FastCgiConnection
  readonly gone: () => number
}

async function open(t: Test, scripts: Parameters<typeof startWorker>[1] = {}): Promise<Subject> {
  const worker = await startWorker(t, scripts)
  let gone = 0
  const connection = new FastCgiConnection({
    address: worker.address,
    connectMs: 5_000,
    onGone: () => gone++,
  })
  t.teardown(() => connection.close(new Error('over') as GatewayError))
  return { worker, connection, gone: () => gone }
}

/** A request without variables, by hand. */
const asked = (id: number): Buffer =>
  Buffer.concat([begin(id, 1, 1), record(PARAMS, id), record(STDIN, id)])

t.test('§3.3 the lowest free id, and records to the request they belong to', async t => {
  const { worker, connection } = await open(t, { '': () => {} })
  const [one, two, three] = [new Noted(), new Noted(), new Noted()]
  t.equal(connection.begin(one), 1)
  t.equal(connection.begin(two), 2)
  t.equal(connection.isConnected, false)
  connection.write(Buffer.concat([asked(1), asked(2)]))
  const seen = await waitFor('both', () => worker.requests[1])
  seen.send(
    record(STDOUT, 2, 'two'),
    record(STDERR, 1, 'note'),
    record(STDOUT, 1, 'one'),
    record(STDOUT, 2),
    end(2, 7),
    record(STDOUT, 2, 'late'),
    record(STDOUT, 0, 'nobody'),
  )
  await waitFor('both are told', () => one.told.length === 3)
  t.strictSame(one.told, ['connected', 'stderr note', 'stdout one'])
  t.strictSame(two.told, ['connected', 'stdout two', 'stdoutEnd', 'end 7 0'])
  t.equal(connection.active, 1)
  t.equal(connection.isKept, true)
  t.equal(connection.begin(three), 2)
  connection.forget(2)
  t.equal(connection.active, 1)
})

t.test(
  'STDOUT of one read comes as one piece, before what follows it, and before an error',
  async t => {
    const { worker, connection } = await open(t, { '': () => {} })
    const [one, two] = [new Noted(), new Noted()]
    connection.begin(one)
    connection.begin(two)
    connection.write(Buffer.concat([asked(1), asked(2)]))
    const seen = await waitFor('both', () => worker.requests[1])
    seen.send(
      Buffer.concat([
        record(STDOUT, 1, 'a', 7),
        record(STDOUT, 1, 'bc'),
        record(STDOUT, 2, 'x'),
        record(STDOUT, 1, 'd'),
        record(STDERR, 1, 'note'),
        record(STDOUT, 1, 'e', 3),
        hex('02 06 00 01 00 00 00 00'),
      ]),
    )
    await waitFor('both are told', () => one.error !== undefined && two.error !== undefined)
    t.strictSame(one.told, [
      'connected',
      'stdout abc',
      'stdout d',
      'stderr note',
      'stdout e',
      'gone PROTOCOL_ERROR true',
    ])
    t.strictSame(two.told, ['connected', 'stdout x', 'gone PROTOCOL_ERROR true'])
  },
)

t.test('G-3 a stream in records of 32 KiB, padded to 8', async t => {
  const { worker, connection } = await open(t, { '': () => {} })
  connection.begin(new Noted())
  connection.write(Buffer.concat([begin(1, 1, 1), record(PARAMS, 1)]))
  for (const size of [0, 1, 8, 32 * 1024, 32 * 1024 + 1, 100_001]) {
    connection.writeStream('stdin', 1, Buffer.alloc(size, 'x'))
  }
  connection.endStream('stdin', 1)
  const request = await waitFor('the request', () => worker.requests[0])
  await request.body()
  const stdin = request.records.filter(({ type }) => type === STDIN)
  t.strictSame(
    stdin.map(({ content, padding }) => [content.length, padding]),
    [
      [1, 7],
      [8, 0],
      [32_768, 0],
      [32_768, 0],
      [1, 7],
      [32_768, 0],
      [32_768, 0],
      [32_768, 0],
      [1_697, 7],
      [0, 0],
    ],
  )
})

t.test('a pause holds the application back, and as many resumes let it go on', async t => {
  const size = 50_000_000
  let left = size
  const { connection } = await open(t, {
    '': request => {
      const piece = record(STDOUT, 1, Buffer.alloc(50_000))
      const pour = (): void => {
        while (left > 0) {
          left -= 50_000
          if (!request.send(piece)) break
        }
      }
      request.socket.on('drain', pour)
      pour()
    },
  })
  const request = new Noted()
  const take = request.stdout.bind(request)
  // With the first bytes: a moment later the worker, which is in this process, may have sent everything.
  request.stdout = content => {
    request.stdout = take
    take(content)
    connection.pause()
    connection.pause()
    connection.resume()
  }
  connection.begin(request)
  connection.write(asked(1))
  await waitFor('it begins', () => request.bytes > 0)
  await settled('what the worker has to send', () => left)
  t.ok(request.bytes < 1_000_000, 'nothing is read meanwhile')
  t.ok(left > size / 2, 'and the worker is held back')
  connection.resume()
  await waitFor('all is here', () => request.bytes === size)
})

t.test('its ends: every request is told once, and so is the owner', async t => {
  const cases: Readonly<
    Record<string, (request: { socket: { end(): void; destroy(): void } }) => void>
  > = {
    'UPSTREAM_CLOSED true': request => request.socket.end(),
    'PROTOCOL_ERROR true': request =>
      (request.socket as unknown as { write(b: Buffer): void }).write(
        hex('09 06 00 01 00 00 00 00'),
      ),
  }
  for (const [said, script] of Object.entries(cases)) {
    const { connection, gone } = await open(t, { '': script })
    const [one, two] = [new Noted(), new Noted()]
    connection.begin(one)
    connection.begin(two)
    connection.write(asked(1))
    await waitFor('the end', () => gone() === 1)
    t.strictSame(one.told, ['connected', `gone ${said}`])
    t.strictSame(two.told, ['connected', `gone ${said}`])
    t.equal(connection.isUsable, false)
    t.equal(connection.active, 0)
    connection.close(new Error('again') as GatewayError)
    t.equal(gone(), 1)
    t.equal(connection.write(asked(1)), true, 'a write is dropped')
  }
})

t.test('nobody there: unreachable, with the address and the system’s code', async t => {
  const request = new Noted()
  const connection = new FastCgiConnection({
    address: { kind: 'unix', path: '/nonexistent/x.sock' },
    connectMs: 5_000,
    onGone: () => {},
  })
  connection.begin(request)
  connection.write(asked(1))
  await waitFor('it is told', () => request.error)
  t.strictSame(request.told, ['gone UPSTREAM_UNREACHABLE false'])
  t.match(request.error?.detail, /^unix:\/nonexistent\/x\.sock: ENOENT/)
})

t.test('G-17, G-18 given up: closes when only such requests are left on it', async t => {
  const { worker, connection, gone } = await open(t, { '': () => {} })
  const [one, two] = [new Noted(), new Noted()]
  connection.begin(one)
  connection.begin(two)
  connection.write(Buffer.concat([asked(1), asked(2)]))
  const seen = await waitFor('both', () => worker.requests[1])
  connection.giveUp(1)
  t.equal(gone(), 0)
  t.equal(connection.isUsable, false, 'no other begins')
  seen.send(end(2))
  await waitFor('it is closed', () => gone() === 1)
  t.strictSame(two.told, ['connected', 'end 0 0'])
  t.strictSame(one.told, ['connected', 'gone UPSTREAM_CLOSED true'])
})
