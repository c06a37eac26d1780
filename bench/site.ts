/**
 * The place where a comparison happens: a temporary directory with the site that every server gets
 * (`root/cgi-bin`), the compiled helpers (`tools`) and one directory per server for its config and logs.
 *
 * Everything is built anew for each run, with gcc and go; nothing is left behind.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Paths are absolute. */
export interface Site {
  /** Document root; `cgi-bin` is in it. */
  readonly root: string
  /** `load`, `spawn-loop`, and `go-cgi` when go is there. */
  readonly tools: string
  /** A new directory for a server's config and logs. */
  readonly serverDirectory: (name: string) => string
  readonly remove: () => void
}

const here = import.meta.dirname
const scripts = ['hello.sh', 'hello.pl', 'hello.py']
const compiled = ['hello', 'count', 'big']

/** Throws when gcc is missing or a program does not compile. */
export function buildSite(): Site {
  const base = mkdtempSync(join(tmpdir(), 'postern-bench-'))
  const root = join(base, 'root')
  const cgiBin = join(root, 'cgi-bin')
  const tools = join(base, 'tools')
  mkdirSync(cgiBin, { recursive: true })
  mkdirSync(tools)
  // Apache gives up root before it reads anything.
  chmodSync(base, 0o755)
  for (const name of scripts) {
    copyFileSync(join(here, 'programs', name), join(cgiBin, name))
    chmodSync(join(cgiBin, name), 0o755)
  }
  for (const name of compiled) compileC(`programs/${name}.c`, join(cgiBin, name), ['-static'])
  for (const name of ['load', 'spawn-loop']) compileC(`peers/${name}.c`, join(tools, name))
  return {
    root,
    tools,
    serverDirectory: name => {
      const directory = join(base, name)
      mkdirSync(directory, { recursive: true })
      return directory
    },
    remove: () => rmSync(base, { recursive: true, force: true }),
  }
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
  execFileSync('gcc', ['-O2', '-Wall', ...flags, '-o', target, join(here, source)])
}
