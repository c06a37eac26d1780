/**
 * The documents against the repository: files, scripts, flags and settings that they name are there, and
 * every setting has a row.
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
import { readFcgiFlags } from '../src/cli/fcgi-flags.js'
import { readFlags } from '../src/cli/flags.js'
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

const ownPath = /(?<![\w./-])((?:src|test|docs|bench|scripts|\.ci)\/(?:[\w./-]*[\w/])?)/g
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

const benchFlags = all(read('bench/compare.ts'), /^ {4}'?([a-z-]+)'?: \{ type: '/gm)

/** What reads the words of each command. */
const commandReaders: readonly ((words: readonly string[]) => unknown)[] = [
  words => readFlags(words, '0'),
  words => readCallFlags(words, '0'),
  words => readFcgiFlags(words, '0'),
  words => readBenchFlags(words),
]

/** Whether a command of `postern` or the benchmark has this flag. */
function isFlag(name: string): boolean {
  if (['help', 'version', ...benchFlags].includes(name)) return true
  return commandReaders.some(read => {
    try {
      read([`--${name}`])
      return true
    } catch (error) {
      // Any other complaint is about the value.
      return !String(error).includes('unknown flag')
    }
  })
}

/** Flags that a text names and nobody has. */
function unknownFlags(text: string): string[] {
  const named = all(text, /(?<![\w-])--([a-z][a-z-]*[a-z])/g)
  return [...new Set(named)].filter(name => !isFlag(name))
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
  for (const file of [...documents, 'src/errors.ts', ...sources]) {
    t.strictSame(unknownFlags(read(file)), [], file)
  }
  t.strictSame(unknownFlags('--port 1 --rounds 2 --dev --cgi-bin x --ports'), ['ports'])
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
})

t.test('docs/configuration.md names every key of the other kinds of routes', async t => {
  const page = read('docs/configuration.md')
  for (const [kind, schema] of Object.entries(routeSchemas)) {
    const unnamed = keysOf(schema).filter(key => !page.includes(`\`${key}\``))
    t.strictSame(unnamed, [], kind)
  }
})
