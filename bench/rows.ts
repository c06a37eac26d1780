/**
 * The work that is measured: one row per kind of CGI program. Data only.
 *
 * The programs are in `programs/`; every server gets the same directory of them. A row joins when it shows a
 * cost that no other row shows.
 */

export interface Row {
  readonly name: string
  /** File name below /cgi-bin/. */
  readonly program: string
  /** Bytes of the request body; undefined: GET. */
  readonly postBytes: number | undefined
  /** Bytes of a right answer's body. */
  readonly answerBytes: number
  /** Concurrent connections unless the command line says otherwise. */
  readonly clients: readonly number[]
  /** More would measure memory: 64 answers of 64 MiB in flight are 4 GiB in a server that buffers. */
  readonly maxClients: number
  /** What one round counts: requests or the bytes of their answers. */
  readonly unit: 'req/s' | 'MiB/s'
}

const HELLO_BYTES = 'Hello, world\n'.length
const KiB = 1024
const MiB = 1024 * KiB

function hello(name: string, program: string): Row {
  return {
    name,
    program,
    postBytes: undefined,
    answerBytes: HELLO_BYTES,
    clients: [1, 16, 64],
    maxClients: 1024,
    unit: 'req/s',
  }
}

export const rows: readonly Row[] = [
  hello('hello-c', 'hello'),
  hello('hello-sh', 'hello.sh'),
  hello('hello-perl', 'hello.pl'),
  hello('hello-python', 'hello.py'),
  {
    name: 'post-256k',
    program: 'count',
    postBytes: 256 * KiB,
    answerBytes: '  262144\n'.length,
    clients: [1, 16, 64],
    maxClients: 1024,
    unit: 'req/s',
  },
  {
    name: 'answer-64m',
    program: 'big',
    postBytes: undefined,
    answerBytes: 64 * MiB,
    clients: [1, 4],
    maxClients: 4,
    unit: 'MiB/s',
  },
]
