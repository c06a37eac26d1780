/**
 * The documents against the repository: files, scripts, flags and settings that they name are there, and
 * every setting, command, source file and export of the application's library is in them.
 *
 * Read as text; each reader is tried on a made-up document as well, so that it can be seen to fail.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { z } from 'zod'
import { readBenchFlags } from '../src/cli/bench-flags.js'
import { readCallFlags } from '../src/cli/call-flags.js'
import { commands } from '../src/cli/commands.js'
import { readFcgiFlags } from '../src/cli/fcgi-flags.js'
import { readFlags } from '../src/cli/flags.js'
import { readWsgiFlags } from '../src/cli/wsgi-flags.js'
import { configSchema, routeSchemas } from '../src/server/config-schema.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const read = (path: string): string => readFileSync(posix.join(root, path), 'utf8')

const documents = [
  ...readdirSync(root).filter(name => name.endsWith('.md')),
  ...readdirSync(posix.join(root, 'docs')).map(name => `docs/${name}`),
]

/** Every text that a capturing pattern finds. */
function all(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map(match => match[1] ?? '')
}

const ownPath = /(?<![\w./-])((?:src|test|docs|bench|scripts|examples|\.ci)\/(?:[\w./-]*[\w/])?)/g
const demoProgram = /(?<![\w./-])(cgi-bin\/[\w-]+\.(?:sh|py|pl))/g
const documentName = /`([A-Za-z-]+\.md|package\.json|biome\.json|\.taprc)`/g
const link = /\]\(([^)\s]+)\)/g

/** Paths of this repository that a document names and that are not there. */
function missingPaths(document: string, text: string): string[] {
  const folder = posix.dirname(document)
  const paths = [...all(text, ownPath), ...all(text, demoProgram)]
  const named = all(text, documentName).filter(name => !existsSync(posix.join(root, folder, name)))
  return [...paths, ...named].filter(path => !existsSync(posix.join(root, path)))
}

/** Links within the repository that lead nowhere: no such file, or no such heading in it. */
function brokenLinks(document: string, text: string): string[] {
  return all(text, link).filter(target => {
    if (/^https?:/.test(target)) return false
    const [path = '', anchor] = target.split('#')
    const file = path === '' ? document : posix.join(posix.dirname(document), path)
    if (file !== document && !existsSync(posix.join(root, file))) return true
    return (
      anchor !== undefined && !anchorsOf(file === document ? text : read(file)).includes(anchor)
    )
  })
}

function anchorsOf(markdown: string): string[] {
  return all(markdown, /^#+ (.+)$/gm).map(heading =>
    heading
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  )
}

const manifest: { scripts: Record<string, string> } = JSON.parse(read('package.json'))

/** Scripts of npm that a document names and package.json has not. */
function missingScripts(text: string): string[] {
  const named = [...all(text, /npm run ([\w:-]+)/g), ...all(text, /npm (test|start)\b/g)]
  return named.filter(name => !Object.hasOwn(manifest.scripts, name))
}

const peerBenchFlags = all(read('bench/compare.ts'), /^ {4}'?([a-z-]+)'?: \{ type: '/gm)
const reloadFlags = all(read('src/cli/reload.ts'), /\.option\('([a-z-]+)'/g)

/** Command of postern → whether it has a flag. */
const flagReaders: Readonly<Record<string, (name: string) => boolean>> = {
  serve: name => isKnown(() => readFlags([`--${name}`], '0')),
  call: name => isKnown(() => readCallFlags([`--${name}`], '0')),
  fcgi: name => isKnown(() => readFcgiFlags([`--${name}`], '0')),
  wsgi: name => isKnown(() => readWsgiFlags(['a:b', `--${name}`], '0')),
  bench: name => isKnown(() => readBenchFlags([`--${name}`])),
  reload: name => reloadFlags.includes(name),
}

function isKnown(readIt: () => unknown): boolean {
  try {
    readIt()
    return true
  } catch (error) {
    // Any other complaint is about the value.
    return !String(error).includes('unknown flag')
  }
}

/** Whether `postern`, one of its commands, or the benchmark has this flag. */
function isFlag(name: string): boolean {
  if (['help', 'version', ...peerBenchFlags].includes(name)) return true
  return Object.values(flagReaders).some(has => has(name))
}

const longFlag = /(?<![\w-])--([a-z][a-z0-9-]*[a-z0-9])/g

/** Flags that a text names and nobody has. */
function unknownFlags(text: string): string[] {
  return [...new Set(all(text, longFlag))].filter(name => !isFlag(name))
}

/** Lines that run postern with a flag that its command has not; what follows ` -- ` is another program's. */
function wrongCommands(text: string): string[] {
  return all(text, /^(postern .*)$/gm).filter(line => {
    const [own = ''] = line.split(' -- ')
    const word = own.split(' ')[1] ?? ''
    const has = flagReaders[Object.hasOwn(flagReaders, word) ? word : 'serve']
    return all(own, longFlag).some(name => name !== 'help' && has?.(name) !== true)
  })
}

t.test('the files that documents name are there', async t => {
  for (const document of documents)
    t.strictSame(missingPaths(document, read(document)), [], document)
  t.ok(documents.includes('README.md') && documents.includes('docs/errors.md'))
  t.strictSame(
    missingPaths('docs/x.md', 'See `src/errors.ts`, `test/flow/`, `errors.md`, `README.md`.'),
    [],
  )
  const gone = ['src/no.ts', 'test/no/', '.ci/no', 'cgi-bin/no.sh', 'no.md']
  t.strictSame(
    missingPaths('docs/x.md', gone.map(path => `\`${path}\``).join()).sort(),
    gone.toSorted(),
  )
})

t.test('the links of documents lead somewhere', async t => {
  for (const document of documents)
    t.strictSame(brokenLinks(document, read(document)), [], document)
  t.strictSame(
    brokenLinks('docs/x.md', '[a](errors.md) [b](../README.md#limits) [c](#here)\n# Here'),
    [],
  )
  const broken = ['no.md', 'README.md', 'errors.md#no', '#no']
  t.strictSame(brokenLinks('docs/x.md', broken.map(target => `[x](${target})`).join()), broken)
})

t.test('the npm scripts that documents name are there', async t => {
  for (const document of documents) t.strictSame(missingScripts(read(document)), [], document)
  t.strictSame(missingScripts('`npm run build` and `npm run none`'), ['none'])
})

t.test('the flags that documents and the command name are there', async t => {
  const sources = readdirSync(posix.join(root, 'src/cli')).map(name => `src/cli/${name}`)
  // A mistake that people make, known by name to be refused.
  const refused = ['recycle-requests']
  for (const file of [...documents, 'src/error-table.ts', ...sources]) {
    const unknown = unknownFlags(read(file)).filter(name => !refused.includes(name))
    t.strictSame(unknown, [], file)
  }
  t.strictSame(unknownFlags('--port 1 --rounds 2 --dev --trace --max --pid --ports'), ['ports'])
})

t.test('the commands that documents show have the flags that they show', async t => {
  for (const document of documents) t.strictSame(wrongCommands(read(document)), [], document)
  const right = 'postern -p 1 --dev\npostern fcgi --max 2 -- x --y\npostern call a / --trace\n'
  t.strictSame(wrongCommands(`${right}postern reload --pid 1`), [])
  const wrong = ['postern site --trace', 'postern fcgi --port 1', 'postern reload --dev']
  t.strictSame(wrongCommands(wrong.join('\n')), wrong)
})

t.test('README.md has a row for every command', async t => {
  const rows = all(read('README.md'), /^\| `postern ([a-z]+) ?[^|]*` \|/gm)
  t.strictSame(rows.sort(), [...commands.keys()].sort())
})

t.test('docs/architecture.md has a line for every source file', async t => {
  const page = read('docs/architecture.md')
  const tree = page.slice(page.indexOf('\n## The tree\n'))
  const listed = all(tree, /`(src\/[\w./-]+\.\w+)`/g)
  const sources = readdirSync(posix.join(root, 'src'), { recursive: true, withFileTypes: true })
    // Bytecode is Python's own affair.
    .filter(entry => entry.isFile() && !entry.parentPath.endsWith('__pycache__'))
    .map(entry => posix.relative(root, posix.join(entry.parentPath, entry.name)))
  t.ok(sources.length > 100)
  t.strictSame(listed.toSorted(), sources.toSorted())
})

t.test('docs/library.md names everything that postern/fastcgi exports', async t => {
  const page = read('docs/library.md')
  const names = all(read('src/fastcgi.ts'), /^export (?:type )?\{([^}]+)\}/gm)
    .flatMap(list => list.split(','))
    .map(name => name.replace('type ', '').trim())
    .filter(name => name !== '')
  t.ok(names.includes('createServer') && names.includes('FastCgiRequest'))
  t.strictSame(
    names.filter(name => !new RegExp(`\\b${name}\\b`).test(page)),
    [],
  )
})

interface Shape {
  readonly properties?: Readonly<Record<string, Shape>>
  readonly anyOf?: readonly Shape[]
  readonly allOf?: readonly Shape[]
}

/** Keys of a schema as they are written, `log.access` for a key in a map. */
function keysOf(schema: z.ZodType): string[] {
  const walk = (shape: Shape, before: string): string[] => {
    const below = [...(shape.anyOf ?? []), ...(shape.allOf ?? [])]
    return [
      ...below.flatMap(part => walk(part, before)),
      ...Object.entries(shape.properties ?? {}).flatMap(([key, inner]) => {
        const inside = walk(inner, `${before}${key}.`)
        return inside.length === 0 ? [`${before}${key}`] : inside
      }),
    ]
  }
  const shape: unknown = z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    reused: 'inline',
  })
  return walk(shape as Shape, '')
}

/** Keys in the first column of the tables below a heading of the first level. */
function rowsBelow(markdown: string, heading: string): string[] {
  const part = markdown.split(/^# /m).find(text => text.startsWith(`${heading}\n`)) ?? ''
  return all(part, /^\| `([\w.]+)` \|/gm)
}

t.test('docs/configuration.md has a row for every setting, and no other', async t => {
  const page = read('docs/configuration.md')
  const top = keysOf(configSchema)
  const cgi = keysOf(routeSchemas.cgi)
  for (const key of ['log.access', 'limits.body', 'env.set']) t.ok(top.includes(key), key)
  t.ok(cgi.includes('timeouts.firstByte'), 'keys are found in maps')
  t.strictSame(rowsBelow(page, 'The file').sort(), top.sort())
  t.strictSame(rowsBelow(page, 'A cgi route').sort(), cgi.sort())
  const fastcgi = keysOf(routeSchemas.fastcgi)
  t.ok(fastcgi.includes('fastcgi.recycle.memory'))
  // Values that are maps have a row of their own beside those of their keys.
  const maps = ['fastcgi', 'fastcgi.workers']
  t.strictSame(rowsBelow(page, 'A fastcgi route').sort(), [...fastcgi, ...maps].sort())
})

t.test('docs/configuration.md names every key of the other kinds of routes', async t => {
  const page = read('docs/configuration.md')
  for (const [kind, schema] of Object.entries(routeSchemas)) {
    const unnamed = keysOf(schema).filter(key => !page.includes(`\`${key}\``))
    t.strictSame(unnamed, [], kind)
  }
})
