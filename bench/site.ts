/**
 * The place where a comparison happens: a temporary directory with the site that every server gets (`root`),
 * the compiled helpers (`tools`) and one directory per server for its config and logs.
 *
 * Everything is built anew for each run, with gcc and go; nothing is left behind.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

/** Paths are absolute. */
export interface Site {
  /** Document root with `cgi-bin`, or with `worker.fcgi` and `php`. */
  readonly root: string
  /** `load`, `spawn-loop` and `prefork`, and `go-cgi` when go is there. */
  readonly tools: string
  /** The Postern that is measured: its command line program, in JavaScript or TypeScript. */
  readonly postern: string
  /** A new directory for a server's config and logs. */
  readonly serverDirectory: (name: string) => string
  readonly remove: () => void
}

const here = import.meta.dirname
const built = join(dirname(here), 'dist', 'cli', 'main.js')
const scripts = ['hello.sh', 'hello.pl', 'hello.py']
const compiled = ['hello', 'count', 'big']

/**
 * Builds the site of the CGI suite, or of another one with its `fill`.
 * @param fill puts the programs below the document root
 * @param postern default: what `npm run build` has made
 * @throws when gcc is missing or a program does not compile
 */
export function buildSite(fill = fillCgiRoot, postern = built): Site {
  const base = mkdtempSync(join(tmpdir(), 'postern-bench-'))
  const remove = () => rmSync(base, { recursive: true, force: true })
  const root = join(base, 'root')
  const tools = join(base, 'tools')
  try {
    mkdirSync(root)
    mkdirSync(tools)
    // Apache and php-fpm give up root before they read anything.
    chmodSync(base, 0o755)
    fill(root)
    for (const name of ['load', 'spawn-loop', 'prefork']) {
      compileC(`peers/${name}.c`, join(tools, name))
    }
  } catch (error) {
    remove()
    throw error
  }
  const serverDirectory = (name: string) => {
    const directory = join(base, name)
    mkdirSync(directory, { recursive: true })
    return directory
  }
  return { root, tools, postern, serverDirectory, remove }
}

/** `cgi-bin` with a program per row. */
export function fillCgiRoot(root: string): void {
  const cgiBin = join(root, 'cgi-bin')
  mkdirSync(cgiBin)
  for (const name of scripts) {
    copyFileSync(join(here, 'programs', name), join(cgiBin, name))
    chmodSync(join(cgiBin, name), 0o755)
  }
  for (const name of compiled) compileC(`programs/${name}.c`, join(cgiBin, name), ['-static'])
}

/** `worker.fcgi`, which libfcgi-dev is needed for, and `php/hello.php`. */
export function fillFastcgiRoot(root: string): void {
  compileC('programs/worker.c', join(root, 'worker.fcgi'), ['-lfcgi'])
  mkdirSync(join(root, 'php'))
  copyFileSync(join(here, 'programs', 'hello.php'), join(root, 'php', 'hello.php'))
}

/** The application of gunicorn and the server of node:http. */
export function fillProxyRoot(root: string): void {
  for (const name of ['wsgi_hello.py', 'hello-http.mjs']) {
    copyFileSync(join(here, 'programs', name), join(root, name))
  }
}

/** `wsgi_hello.py`, for every server of Python. */
export function fillWsgiRoot(root: string): void {
  copyFileSync(join(here, 'programs', 'wsgi_hello.py'), join(root, 'wsgi_hello.py'))
}

/** Builds the Go peer; the compiler keeps its cache below the site. */
export function buildGo(site: Site): void {
  const source = join(here, 'peers', 'go-cgi', 'main.go')
  execFileSync('go', ['build', '-o', join(site.tools, 'go-cgi'), source], {
    env: { ...process.env, GO111MODULE: 'off', GOCACHE: join(site.tools, 'go-cache') },
  })
}

/** The text of a config template with each `@NAME@` replaced; throws on a name without a value. */
export function fillTemplate(template: string, values: Readonly<Record<string, string>>): string {
  return template.replace(/@([A-Z]+)@/g, (_, name: string) => {
    const value = values[name]
    if (value === undefined) throw new Error(`template: no value for @${name}@`)
    return value
  })
}

/** Reads a template of `bench/peers`. */
export function readTemplate(name: string): string {
  return readFileSync(join(here, 'peers', name), 'utf8')
}

/** Compiles a file below `bench` with gcc; throws when that fails. */
export function compileC(source: string, target: string, flags: readonly string[] = []): void {
  execFileSync('gcc', ['-O2', '-Wall', '-o', target, join(here, source), ...flags])
}
