/**
 * The work that is measured: one row per kind of program and answer. Data only.
 *
 * The programs are in `programs/`; every server gets the same ones. A row joins when it shows a cost that no
 * other row shows.
 */

export interface Row {
  readonly name: string
  /** What is asked for: path and query. */
  readonly path: string
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

function hello(name: string, path: string, clients: readonly number[]): Row {
  return {
    name,
    path,
    postBytes: undefined,
    answerBytes: HELLO_BYTES,
    clients,
    maxClients: 1024,
    unit: 'req/s',
  }
}

function post256k(path: string): Row {
  return {
    name: 'post-256k',
    path,
    postBytes: 256 * KiB,
    answerBytes: '  262144\n'.length,
    clients: [1, 16, 64],
    maxClients: 1024,
    unit: 'req/s',
  }
}

function answer64m(path: string): Row {
  return {
    name: 'answer-64m',
    path,
    postBytes: undefined,
    answerBytes: 64 * MiB,
    clients: [1, 4],
    maxClients: 4,
    unit: 'MiB/s',
  }
}

/** A process per request. */
export const rows: readonly Row[] = [
  hello('hello-c', '/cgi-bin/hello', [1, 16, 64]),
  hello('hello-sh', '/cgi-bin/hello.sh', [1, 16, 64]),
  hello('hello-perl', '/cgi-bin/hello.pl', [1, 16, 64]),
  hello('hello-python', '/cgi-bin/hello.py', [1, 16, 64]),
  post256k('/cgi-bin/count'),
  answer64m('/cgi-bin/big'),
]

/** Two workers: `programs/worker.c` below /app/, php-fpm below /php/. */
export const fastcgiRows: readonly Row[] = [
  hello('hello-libfcgi', '/app/', [1, 16, 64, 256]),
  hello('hello-php', '/php/hello.php', [1, 16, 64, 256]),
  post256k('/app/?count'),
  answer64m('/app/?big'),
]

/** uWSGI behind each server: two workers for each protocol. */
export const socketRows: readonly Row[] = [
  hello('hello-uwsgi', '/uwsgi/', [1, 16, 64]),
  hello('hello-scgi', '/scgi/', [1, 16, 64]),
]

/** Two workers of `programs/wsgi_hello.py`. */
export const wsgiRows: readonly Row[] = [hello('hello-wsgi', '/', [1, 16, 64])]

/** What must cost the same however much stands idle beside it. */
export const growthRows: readonly Row[] = [hello('hello-libfcgi', '/app/', [1, 16, 64])]

/** HTTP servers behind a proxy: `programs/wsgi_hello.py` below /py/, `programs/hello-http.mjs` below /node/. */
export const proxyRows: readonly Row[] = [
  hello('hello-gunicorn', '/py/', [1, 16, 64]),
  hello('hello-node', '/node/', [1, 16, 64]),
  post256k('/node/?count'),
  answer64m('/node/?big'),
]
