/**
 * Who may import whom, and which things of the world have one door: a statement of policy that fails on
 * whatever it does not allow.
 *
 * Read by hand, without a compiler: imports are found in the text once comments are gone. A new room is
 * a new row in the table; when two rooms need the same thing, it moves down, never sideways.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const root = fileURLToPath(new URL('..', import.meta.url))

const ground = [
  ...[
    'gateway.ts',
    'errors.ts',
    'error-table.ts',
    'log.ts',
    'slots.ts',
    'admission.ts',
    'byte-string.ts',
    'version.ts',
  ],
]

interface Row {
  /** A file, or a folder with its slash, below `src/`. */
  readonly room: string
  readonly may: readonly string[]
}

/** The first row that fits a file counts; paths are below `src/`. */
const table: readonly Row[] = [
  ...ground.map(room => ({ room, may: ground })),
  { room: 'process/', may: ['process/', ...ground] },
  { room: 'upstream/', may: ['upstream/', ...ground] },
  { room: 'cgi/', may: ['cgi/', 'process/', 'upstream/address.ts', ...ground] },
  { room: 'worker/', may: ['worker/', 'process/', 'upstream/', ...ground] },
  { room: 'static/', may: ['static/', ...ground] },
  {
    room: 'backend/',
    may: ['backend/', 'cgi/', 'upstream/', 'process/spawner.ts', ...ground],
  },
  {
    room: 'fastcgi/',
    may: [
      ...['fastcgi/', 'backend/', 'cgi/', 'upstream/', 'static/locate.ts'],
      ...['process/spawner.ts', 'process/stderr-lines.ts', ...ground],
    ],
  },
  {
    room: 'scgi/',
    may: ['scgi/', 'backend/', 'cgi/', 'upstream/', 'process/spawner.ts', ...ground],
  },
  {
    room: 'uwsgi/',
    may: ['uwsgi/', 'backend/', 'cgi/', 'upstream/', 'process/spawner.ts', ...ground],
  },
  {
    room: 'proxy/',
    may: ['proxy/', 'backend/', 'cgi/', 'upstream/', 'process/spawner.ts', ...ground],
  },
  { room: 'wsgi/', may: ['wsgi/', 'fastcgi/', 'cgi/', 'worker/', 'upstream/', ...ground] },
  { room: 'app/', may: ['app/', 'fastcgi/', 'scgi/', 'cgi/', ...ground] },
  // The library's door has no command line that would choose a spawner for it.
  {
    room: 'server/handler.ts',
    may: ['server/', 'cgi/', 'process/spawner.ts', 'process/choose.ts', ...ground],
  },
  {
    room: 'server/',
    may: [
      ...['server/', 'backend/', 'cgi/', 'fastcgi/', 'scgi/', 'uwsgi/', 'wsgi/', 'proxy/'],
      ...['worker/', 'upstream/', 'static/', 'process/spawner.ts', ...ground],
    ],
  },
  { room: 'bench/', may: ['bench/', 'server/config.ts', ...ground] },
  { room: 'index.ts', may: ['server/', 'cgi/', 'static/', 'process/', ...ground] },
  {
    room: 'fastcgi.ts',
    may: ['app/', 'fastcgi/', 'scgi/', 'cgi/app-listener.ts', 'upstream/address.ts', ...ground],
  },
  {
    room: 'cli/',
    may: [
      ...['cli/', 'server/', 'cgi/', 'fastcgi/', 'scgi/', 'uwsgi/', 'wsgi/', 'proxy/', 'worker/'],
      ...['upstream/', 'static/', 'process/', 'bench/', ...ground],
    ],
  },
]

/** Modules that are imported in one place. */
const moduleDoors: Readonly<Record<string, readonly string[]>> = {
  'node:child_process': ['bench/child.ts', 'process/fifo.ts', 'process/node.ts'],
  child_process: ['process/node.ts'],
  'node:process': ['cli/'],
  koffi: ['process/libc.ts'],
  yargs: ['cli/'],
  // The second opinion of the tests, never in traffic.
  'fastcgi-stream': [],
}

interface Door {
  readonly thing: string
  readonly used: RegExp
  readonly only: readonly string[]
}

/** Words of the code that stand in one place. */
const doors: readonly Door[] = [
  {
    thing: 'process.env',
    used: /\bprocess\s*\.\s*env\b|\bprocess\s*\[|\{[^{}]*\}\s*=\s*process\b/,
    only: ['cli/', 'cgi/environment.ts', 'server/handler.ts', 'app/serve.ts'],
  },
  {
    thing: 'createServer',
    used: /\bcreateServer\b/,
    only: ['server/listener.ts', 'cgi/app-listener.ts', 'app/server.ts', 'fastcgi.ts'],
  },
  { thing: 'console', used: /\bconsole\s*[.[]/, only: ['cli/'] },
  {
    thing: 'process.exit',
    used: /\bprocess\s*\.\s*(?:exit|exitCode|abort)\b/,
    only: ['cli/', 'app/serve.ts'],
  },
  {
    thing: 'a process signal',
    used: /\bprocess\s*\.\s*(?:on|once|addListener|prependListener)\(\s*['"`]SIG/,
    only: ['cli/', 'app/serve.ts'],
  },
  { thing: 'a default export', used: /\bexport\s+default\b|\bas\s+default\b/, only: [] },
  { thing: 'require', used: /\bcreateRequire\b|\brequire\s*\(/, only: [] },
]

const maxLines = 300
const nobodysRooms = new Set(['util', 'utils', 'helper', 'helpers', 'common', 'misc'])

/** What a source file does that the policy does not allow; `file` is its path below `src/`. */
function violations(file: string, text: string): string[] {
  const code = withoutComments(text)
  const imports = importsOf(code)
  const found = [
    rowOf(file) === undefined ? `${file} has no row in the table` : undefined,
    ...imports.map(name => forbiddenArrow(file, name)),
    ...imports.map(name => {
      const only = Object.hasOwn(moduleDoors, name) ? moduleDoors[name] : undefined
      return only === undefined || isIn(file, only) ? undefined : `${file} imports ${name}`
    }),
    ...doors.map(({ thing, used, only }) =>
      used.test(code) && !isIn(file, only) ? `${file} has ${thing}` : undefined,
    ),
    /\bimport\s*\(\s*[^'"\s]/.test(code) ? `${file} imports a computed name` : undefined,
    /^(?:#![^\n]*\n)?\/\*\*\n/.test(text) ? undefined : `${file} has no opening comment`,
    text.split('\n').length - 1 > maxLines ? `${file} has more than ${maxLines} lines` : undefined,
    nameViolation(file),
  ]
  return found.filter(violation => violation !== undefined)
}

function forbiddenArrow(file: string, name: string): string | undefined {
  const row = rowOf(file)
  if (row === undefined || !name.startsWith('.')) return undefined
  const target = posix.join(posix.dirname(file), name).replace(/\.js$/, '.ts')
  return isIn(target, row.may) ? undefined : `${file} imports ${target}`
}

function rowOf(file: string): Row | undefined {
  return table.find(({ room }) => isIn(file, [room]))
}

function nameViolation(path: string): string | undefined {
  const nobodys = path.split('/').some(part => nobodysRooms.has(part.replace(/\..*$/, '')))
  return nobodys ? `${path} is nobody's room` : undefined
}

function isIn(file: string, rooms: readonly string[]): boolean {
  return rooms.some(room => (room.endsWith('/') ? file.startsWith(room) : file === room))
}

/** Strings are matched so that what looks like a comment in them is left alone. */
const commentOrString =
  /\/\*[\s\S]*?\*\/|\/\/[^\n]*|(['"])(?:\\.|(?!\1)[^\\\n])*\1|`(?:\\.|[^`\\])*`/g

function withoutComments(text: string): string {
  return text.replace(commentOrString, found => (/^\/[/*]/.test(found) ? ' ' : found))
}

const importStatement = /\bfrom\s*['"]([^'"\n]+)['"]|\bimport\s*\(?\s*['"]([^'"\n]+)['"]/g

function importsOf(code: string): string[] {
  return [...code.matchAll(importStatement)].map(match => match[1] ?? match[2] ?? '')
}

/** Files below a folder of the project, by their paths below it. */
function filesBelow(folder: string): string[] {
  return readdirSync(posix.join(root, folder), { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => posix.relative(folder, posix.relative(root, `${entry.parentPath}/${entry.name}`)))
}

const sources = filesBelow('src')
  .filter(file => file.endsWith('.ts'))
  .map(file => ({ file, text: readFileSync(posix.join(root, 'src', file), 'utf8') }))

t.test('every file of src keeps to the policy', async t => {
  for (const { file, text } of sources) t.strictSame(violations(file, text), [], file)
})

t.test('no folder or file anywhere is nobody’s room', async t => {
  for (const folder of ['src', 'test', 'bench', 'scripts']) {
    t.strictSame(filesBelow(folder).map(nameViolation).filter(Boolean), [], folder)
  }
})

t.test('the reader sees the imports that are there', async t => {
  const arrows = sources.flatMap(({ file, text }) =>
    importsOf(withoutComments(text)).map(name => `${file} ${name}`),
  )
  for (const arrow of [
    'cgi/script.ts ../errors.js',
    'cgi/script.ts node:fs',
    'process/libc.ts koffi',
    'cli/serve.ts ../server/listener.js',
  ]) {
    t.ok(arrows.includes(arrow), arrow)
  }
})

/** A made-up file that breaks one rule, and what must be said of it. */
const broken: readonly (readonly [file: string, code: string, violation: string])[] = [
  ['errors.ts', "import { parse } from './cgi/x.js'", 'errors.ts imports cgi/x.ts'],
  ['log.ts', "import type { A } from './server/config.js'", 'log.ts imports server/config.ts'],
  ['process/x.ts', "import { a } from '../cgi/script.js'", 'process/x.ts imports cgi/script.ts'],
  ['cgi/x.ts', "import type { A } from '../server/config.js'", 'cgi/x.ts imports server/config.ts'],
  ['cgi/x.ts', "import { a } from '../static/files.js'", 'cgi/x.ts imports static/files.ts'],
  ['static/x.ts', "import { a } from '../cgi/script.js'", 'static/x.ts imports cgi/script.ts'],
  [
    'static/x.ts',
    "import { a } from '../process/spawner.js'",
    'static/x.ts imports process/spawner.ts',
  ],
  [
    'server/x.ts',
    "import { a } from '../process/posix.js'",
    'server/x.ts imports process/posix.ts',
  ],
  ['server/x.ts', "import { a } from '../cli/main.js'", 'server/x.ts imports cli/main.ts'],
  ['index.ts', "export { a } from './cli/main.js'", 'index.ts imports cli/main.ts'],
  ['cgi/x.ts', "export * from '../server/router.js'", 'cgi/x.ts imports server/router.ts'],
  ['cgi/x.ts', "import '../server/router.js'", 'cgi/x.ts imports server/router.ts'],
  ['cgi/x.ts', 'import {\n  a,\n  b,\n} from "../cli/flags.js"', 'cgi/x.ts imports cli/flags.ts'],
  ['cgi/x.ts', "await import('../server/router.js')", 'cgi/x.ts imports server/router.ts'],
  ['cgi/x.ts', 'await import(name)', 'cgi/x.ts imports a computed name'],
  ['cgi/x.ts', "import { a } from '../../bench/x.js'", 'cgi/x.ts imports ../bench/x.ts'],
  ['cgi/x.ts', "const u = 'http://x' // y\nimport '../index.js'", 'cgi/x.ts imports index.ts'],
  ['cache/x.ts', "import { a } from '../errors.js'", 'cache/x.ts has no row in the table'],
  ['new.ts', '', 'new.ts has no row in the table'],
  [
    'process/posix.ts',
    "import 'node:child_process'",
    'process/posix.ts imports node:child_process',
  ],
  ['process/posix.ts', "import('koffi')", 'process/posix.ts imports koffi'],
  ['server/x.ts', "import yargs from 'yargs'", 'server/x.ts imports yargs'],
  ['cli/x.ts', "import 'fastcgi-stream'", 'cli/x.ts imports fastcgi-stream'],
  ['server/x.ts', "import { env } from 'node:process'", 'server/x.ts imports node:process'],
  ['server/x.ts', 'const a = process.env.A', 'server/x.ts has process.env'],
  ['server/x.ts', 'const { env } = process', 'server/x.ts has process.env'],
  ['static/x.ts', 'createServer(() => {})', 'static/x.ts has createServer'],
  ['server/x.ts', "console.log('x')", 'server/x.ts has console'],
  ['server/x.ts', 'process.exit(1)', 'server/x.ts has process.exit'],
  ['server/x.ts', 'process.exitCode = 1', 'server/x.ts has process.exit'],
  ['server/x.ts', "process.once('SIGTERM', stop)", 'server/x.ts has a process signal'],
  ['cli/x.ts', 'export default 1', 'cli/x.ts has a default export'],
  ['cli/x.ts', 'export { a as default }', 'cli/x.ts has a default export'],
  ['cgi/x.ts', "require('node:fs')", 'cgi/x.ts has require'],
  ['cgi/utils.ts', '', "cgi/utils.ts is nobody's room"],
  ['cgi/helpers/x.ts', '', "cgi/helpers/x.ts is nobody's room"],
  ['cgi/common/x.ts', '', "cgi/common/x.ts is nobody's room"],
]

t.test('each rule catches what breaks it', async t => {
  for (const [file, code, violation] of broken) {
    t.strictSame(violations(file, `/**\n * Made up.\n */\n${code}\n`), [violation], code)
  }
  t.strictSame(violations('cgi/x.ts', 'const a = 1\n'), ['cgi/x.ts has no opening comment'])
  const opening = '/**\n * x\n */\n'
  t.strictSame(violations('cgi/x.ts', opening + 'a\n'.repeat(maxLines - 3)), [], 'at the limit')
  t.strictSame(violations('cgi/x.ts', opening + 'a\n'.repeat(maxLines - 2)), [
    `cgi/x.ts has more than ${maxLines} lines`,
  ])
})

t.test('what is allowed, and what only looks forbidden, passes', async t => {
  const allowed: readonly (readonly [file: string, code: string])[] = [
    ['cli/x.ts', "import { a } from '../process/choose.js'\nconsole.error(process.env.A)"],
    ['cli/x.ts', "import yargs from 'yargs'\nprocess.on('SIGTERM', stop)\nprocess.exit(1)"],
    ['cgi/x.ts', "import { a } from '../process/spawner.js'\nimport type { B } from './y.js'"],
    [
      'server/x.ts',
      "import { a } from '../cgi/options.js'\nimport { c } from '../static/files.js'",
    ],
    ['cgi/x.ts', "// import '../server/router.js'\n/* process.env, console.log */"],
    ['cgi/x.ts', "process.once('exit', end)\nprocess.kill(-1, 'SIGTERM')"],
    ['admission.ts', "import { GatewayError } from './errors.js'"],
    ['cli/main.ts', ''],
  ]
  for (const [file, code] of allowed) {
    t.strictSame(violations(file, `/**\n * Made up.\n */\n${code}\n`), [], code)
  }
  t.strictSame(violations('cli/main.ts', '#!/usr/bin/env node\n/**\n * x\n */\n'), [])
})
