/**
 * Our FastCGI codec against `fastcgi-stream` 1.0.0: `npx tsx bench/codec.ts`.
 *
 * Pure work in one process, no sockets: the same bytes in both, checked once, then rounds that take turns.
 * Prints a Markdown table: MB and records per second of CPU time (the machine may have other work), median
 * with least and greatest round. What it does not say: how much of a request's time this is.
 */
import { EventEmitter } from 'node:events'
import fastcgiStream from 'fastcgi-stream'
import { PairReader } from '../src/fastcgi/name-value.js'
import { encodeStreamHeader } from '../src/fastcgi/record.js'
import { RecordDecoder } from '../src/fastcgi/record-decoder.js'
import { encodeRequest } from '../src/fastcgi/request-encoder.js'
import { median, spread } from './stats.js'

const { FastCGIStream, records } = fastcgiStream
const rounds = 9
const roundMs = 150
/** Bytes that a read of a socket gives at most. */
const chunkBytes = 64 * 1024
/** Content of one record: `fastcgi-stream` leaves the cutting to its caller. */
const contentBytes = 32 * 1024
const nothing = Buffer.alloc(0)

/** One way of doing one piece of work; answers the bytes of the wire that went through. */
interface Work {
  readonly name: string
  /** Records in one run. */
  readonly records: number
  readonly ours: () => number
  readonly theirs: () => number
}

const variables = new Map<string, string>(
  Object.entries({
    GATEWAY_INTERFACE: 'CGI/1.1',
    SERVER_SOFTWARE: 'Postern/0.1.0',
    SERVER_NAME: 'www.example.test',
    SERVER_ADDR: '192.0.2.10',
    SERVER_PORT: '443',
    SERVER_PROTOCOL: 'HTTP/1.1',
    REQUEST_SCHEME: 'https',
    HTTPS: 'on',
    REMOTE_ADDR: '198.51.100.7',
    REMOTE_PORT: '50123',
    REQUEST_METHOD: 'GET',
    REQUEST_URI: '/shop/list?category=books&page=2&sort=price',
    QUERY_STRING: 'category=books&page=2&sort=price',
    SCRIPT_NAME: '/shop',
    SCRIPT_FILENAME: '/srv/www/shop/index.php',
    DOCUMENT_ROOT: '/srv/www',
    PATH_INFO: '/list',
    REDIRECT_STATUS: '200',
    HTTP_HOST: 'www.example.test',
    HTTP_USER_AGENT: 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0',
    HTTP_ACCEPT: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
    HTTP_ACCEPT_LANGUAGE: 'en-GB,en;q=0.5',
    HTTP_ACCEPT_ENCODING: 'gzip, deflate, br',
    HTTP_COOKIE: `session=${'0123456789abcdef'.repeat(4)}; theme=dark; seen=1`,
    HTTP_REFERER: 'https://www.example.test/shop/list?category=books&page=1',
  }),
)
const pairsOfRequest = [...variables]

/** A wire that counts what is written to it. */
class Wire extends EventEmitter {
  bytes = 0

  write(bytes: Buffer): boolean {
    this.bytes += bytes.length
    return true
  }
}

const ourRequest = encodeRequest({
  ...{ id: 1, role: 1, keepConnection: true, fixedPairs: nothing },
  ...{ variables, body: nothing },
})

function encodeRequestWork(): Work {
  const wire = new Wire()
  const stream = new FastCGIStream(wire)
  return {
    name: 'encode a request of 25 variables',
    records: 4,
    ours: () =>
      encodeRequest({
        id: 1,
        role: 1,
        keepConnection: true,
        fixedPairs: nothing,
        variables,
        body: nothing,
      }).length,
    theirs: () => {
      const before = wire.bytes
      stream.writeRecord(1, new records.BeginRequest(1, 1))
      stream.writeRecord(1, new records.Params(pairsOfRequest))
      stream.writeRecord(1, new records.Params())
      stream.writeRecord(1, new records.StdIn())
      return wire.bytes - before
    },
  }
}

function decodeRequestWork(): Work {
  const decode = decoders(ourRequest, variables.size)
  return { name: 'decode a request of 25 variables', records: 4, ...decode }
}

/** Both decoders on the same bytes; `expected` pairs or bytes of content are counted in each run. */
function decoders(bytes: Buffer, expected: number): Pick<Work, 'ours' | 'theirs'> {
  const chunks: Buffer[] = []
  for (let at = 0; at < bytes.length; at += chunkBytes)
    chunks.push(bytes.subarray(at, at + chunkBytes))
  let seen = 0
  let reader = new PairReader({ bytes: 1 << 20, pairs: 1_000 }, () => seen++)
  const decoder = new RecordDecoder(record => {
    if (record.type === 'stdout') seen += record.content.length
    if (record.type !== 'params') return
    if (!record.ends) reader.push(record.content)
    else reader = new PairReader({ bytes: 1 << 20, pairs: 1_000 }, () => seen++)
  })
  const wire = new Wire()
  new FastCGIStream(wire).on('record', (_id: number, record: { data?: Buffer; params?: [] }) => {
    seen += record.params?.length ?? record.data?.length ?? 0
  })
  const counted = (feed: (chunk: Buffer) => void) => (): number => {
    seen = 0
    for (const chunk of chunks) feed(chunk)
    if (seen !== expected) throw new Error(`${seen} were read, not ${expected}`)
    return bytes.length
  }
  return {
    ours: counted(chunk => decoder.push(chunk)),
    theirs: counted(chunk => void wire.emit('data', chunk)),
  }
}

function stdoutWork(name: string, bytes: number): Work[] {
  const content = Buffer.alloc(bytes, 'x')
  const wire = new Wire()
  const stream = new FastCGIStream(wire)
  const pieces: Buffer[] = []
  const ours: Buffer[] = []
  for (let at = 0; at < bytes; at += contentBytes) {
    const piece = content.subarray(at, at + contentBytes)
    pieces.push(piece)
    ours.push(encodeStreamHeader('stdout', 1, piece.length, 0), piece)
  }
  return [
    {
      name: `encode ${name} of STDOUT`,
      records: pieces.length,
      // Header and content go out in one writev: nothing is copied.
      ours: () => {
        let written = 0
        for (const piece of pieces) {
          written += encodeStreamHeader('stdout', 1, piece.length, 0).length + piece.length
        }
        return written
      },
      theirs: () => {
        const before = wire.bytes
        for (const piece of pieces) stream.writeRecord(1, new records.StdOut(piece))
        return wire.bytes - before
      },
    },
    {
      name: `decode ${name} of STDOUT`,
      records: pieces.length,
      ...decoders(Buffer.concat(ours), bytes),
    },
  ]
}

interface Speed {
  readonly megabytes: number
  readonly records: number
}

function measure(work: Work, run: () => number): Speed {
  const start = process.cpuUsage()
  let runs = 0
  let bytes = 0
  let ms = 0
  while (ms < roundMs) {
    // The clock costs more than a small run.
    for (let i = 0; i < 50; i++) bytes += run()
    runs += 50
    const { user, system } = process.cpuUsage(start)
    ms = (user + system) / 1e3
  }
  return { megabytes: bytes / 1e3 / ms, records: (runs * work.records * 1e3) / ms }
}

function compare(work: Work): string {
  const ours: Speed[] = []
  const theirs: Speed[] = []
  for (let round = 0; round <= rounds; round++) {
    const pair = [measure(work, work.ours), measure(work, work.theirs)] as const
    // The first round is the compiler's.
    if (round === 0) continue
    ours.push(pair[0])
    theirs.push(pair[1])
  }
  const ratio = median(ours.map((speed, round) => speed.records / (theirs[round]?.records ?? 1)))
  return `| ${work.name} | ${shown(ours)} | ${shown(theirs)} | ${ratio.toFixed(1)} |`
}

function shown(speeds: readonly Speed[]): string {
  return `${range(speeds.map(each => each.megabytes))} | ${range(speeds.map(each => each.records / 1e3))}`
}

function range(values: readonly number[]): string {
  const { median: middle, min, max } = spread(values)
  return `${number(middle)} (${number(min)}-${number(max)})`
}

function number(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString('en') : value.toFixed(1)
}

const works = [
  encodeRequestWork(),
  decodeRequestWork(),
  ...stdoutWork('64 KiB', 64 * 1024),
  ...stdoutWork('1 MiB', 1024 * 1024),
]
process.stdout.write(
  [
    '| work | Postern MB/s | thousand records/s | fastcgi-stream MB/s | thousand records/s | times |',
    '|---|---|---|---|---|---|',
    ...works.map(compare),
    '',
    `Node ${process.version}; ${rounds} rounds of ${roundMs} ms of CPU time each in turn: median (least-greatest).`,
    'Encoding STDOUT copies nothing in Postern (header apart), so its MB/s only say that.',
    '',
  ].join('\n'),
)
