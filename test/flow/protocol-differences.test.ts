/**
 * The table "What differs between the protocols" of docs/protocols.md against the same request sent over each of
 * them: what the document says is what a program is told, and what a client gets.
 */
import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { fastCgiRoute } from '../support/fastcgi-route.js'
import { startWorker } from '../support/fastcgi-worker.js'
import { environmentOf, program, shell } from '../support/programs.js'
import type { RequestParts } from '../support/raw-http.js'
import type { RawResponse } from '../support/raw-response.js'
import { startTestServer } from '../support/serve.js'
import { socketRoute, startSocketWorker } from '../support/socket-worker.js'

const document = readFileSync(new URL('../../docs/protocols.md', import.meta.url), 'utf8')

/** Rows of the table below a heading, the first its names. */
function tableBelow(heading: string): string[][] {
  const section = document.split(`## ${heading}\n`)[1]?.split('\n## ')[0] ?? ''
  const lines = section.split('\n').filter(line => line.startsWith('| '))
  return lines.map(line =>
    line
      .split('|')
      .slice(1, -1)
      .map(cell => cell.trim().replaceAll('`', '')),
  )
}

/** What a program answers to the query: its variables, or one of the answers that are told apart. */
const answers: Readonly<Record<string, string>> = {
  line: 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nx',
  location: 'Location: /elsewhere\r\n\r\n',
  mute: '',
}
const environmentAnswer = (variables: ReadonlyMap<string, string>): string =>
  `Content-Type: text/plain\r\n\r\n${[...variables].map(pair => `${pair.join('=')}\0`).join('')}`
const answerTo = (variables: ReadonlyMap<string, string>): string =>
  answers[variables.get('QUERY_STRING') ?? ''] ?? environmentAnswer(variables)

type Ask = (query: string, parts?: RequestParts) => Promise<RawResponse>

/** How a program of each kind is asked at the path of its route. */
async function askers(t: Test): Promise<Readonly<Record<string, Ask>>> {
  const fastcgi = await startWorker(t, {
    '': request => request.answer(answerTo(request.params)),
  })
  const scripts = {
    '': (request: { variables: ReadonlyMap<string, string>; answer: (text: string) => void }) =>
      request.answer(answerTo(request.variables)),
  }
  const scgi = await startSocketWorker(t, 'scgi', scripts)
  const uwsgi = await startSocketWorker(t, 'uwsgi', scripts)
  const server = await startTestServer(t, {
    scripts: {
      'app.cgi': program('environment.sh'),
      'line.cgi': shell(`printf 'HTTP/1.1 200 OK\\r\\n\\r\\nx'`),
      'location.cgi': shell(`printf 'Location: /elsewhere\\r\\n\\r\\n'`),
      'mute.cgi': shell(':'),
    },
    files: { elsewhere: 'there' },
    routes: () => [
      fastCgiRoute('/fastcgi/', { address: fastcgi.address }),
      socketRoute('scgi', '/scgi/', [scgi.address]),
      socketRoute('uwsgi', '/uwsgi/', [uwsgi.address]),
    ],
  })
  const at =
    (path: string): Ask =>
    (query, parts) =>
      server.request(`${path}?${query}`, parts)
  return {
    cgi: (query, parts) => server.request(`/cgi-bin/${query === '' ? 'app' : query}.cgi`, parts),
    fastcgi: at('/fastcgi'),
    scgi: at('/scgi'),
    uwsgi: at('/uwsgi'),
  }
}

const variable =
  (name: string, parts: RequestParts = {}) =>
  async (ask: Ask): Promise<string> => {
    const value = environmentOf(await ask('', parts)).get(name)
    if (value === undefined) return 'unset'
    return value === '' ? 'empty' : value
  }

/** How each row is found out; whoever adds a row says here how it is tried. */
const trials: Readonly<Record<string, (ask: Ask) => Promise<string>>> = {
  'CONTENT_LENGTH without a body': variable('CONTENT_LENGTH'),
  'CONTENT_LENGTH of an empty body': variable('CONTENT_LENGTH', {
    method: 'POST',
    headers: ['Content-Length: 0'],
  }),
  'PATH_INFO without a rest': variable('PATH_INFO'),
  GATEWAY_INTERFACE: variable('GATEWAY_INTERFACE'),
  SCGI: variable('SCGI'),
  FCGI_ROLE: variable('FCGI_ROLE'),
  HTTP_AUTHORIZATION: async ask => {
    const headers = ['Authorization: Basic YTpi']
    const value = await variable('HTTP_AUTHORIZATION', { headers })(ask)
    return value === 'Basic YTpi' ? 'passed' : value
  },
  'An HTTP status line instead of a head': async ask => String((await ask('line')).status),
  'A Location that is only a path': async ask => {
    const response = await ask('location')
    return response.text() === 'there' ? 'followed' : String(response.status)
  },
  'No answer': async ask => String((await ask('mute')).status),
}

t.test('docs/protocols.md, "What differs between the protocols", row by row', async t => {
  const [names = [], ...rows] = tableBelow('What differs between the protocols')
  const kinds = names.slice(1)
  t.strictSame(
    rows.map(([what]) => what),
    Object.keys(trials),
    'each row has a trial, and each trial a row',
  )
  const asks = await askers(t)
  t.strictSame(kinds, Object.keys(asks))
  for (const [what = '', ...cells] of rows) {
    for (const [at, kind] of kinds.entries()) {
      const ask = asks[kind]
      const trial = trials[what]
      if (ask === undefined || trial === undefined) continue
      t.equal(await trial(ask), cells[at], `${what}, ${kind}`)
    }
  }
})
