/**
 * What is measured: a program, and the modes of serving it that fit.
 *
 * A program that imports `postern/fastcgi` decides by itself how it was started, so it runs in every mode; any other
 * is taken for a CGI script. Only the beginning of the file is looked at. A new mode is a name and a route here.
 */
import { closeSync, openSync, readSync } from 'node:fs'
import { dirname, extname } from 'node:path'

/** A way of serving a program. */
export type ModeName = 'cgi' | 'fastcgi'

/** As reports call it. */
export const modeTitles: Readonly<Record<ModeName, string>> = { cgi: 'CGI', fastcgi: 'FastCGI' }

export interface Subject {
  /** Absolute path of the program. */
  readonly file: string
  /** Path and query below the program: `/hello?name=World`, or empty. */
  readonly target: string
  readonly modes: readonly ModeName[]
}

/** Prefix of the one route that a server under test has. */
export const routePrefix = '/bench'

/** An import statement or `import()` of the responder library. */
const importsResponder = /\b(?:from|import)\s*\(?\s*['"]postern\/fastcgi['"]/

const appSuffixes = new Set(['.mjs', '.js'])

const lookedAtBytes = 64 * 1024

/** The modes that fit the program. @throws the file system's error when it cannot be read */
export function modesOf(file: string): readonly ModeName[] {
  if (!appSuffixes.has(extname(file))) return ['cgi']
  return importsResponder.test(beginningOf(file)) ? ['cgi', 'fastcgi'] : ['cgi']
}

function beginningOf(file: string): string {
  const fd = openSync(file, 'r')
  try {
    const buffer = Buffer.alloc(lookedAtBytes)
    return buffer.toString('latin1', 0, readSync(fd, buffer))
  } finally {
    closeSync(fd)
  }
}

/** A route as `postern.yaml` would have it; what is not said is the default a user gets. */
export type BenchRoute = Readonly<Record<string, unknown>>

/** The route that serves the program in this mode; it runs in its own folder in each of them. */
export function routeFor(mode: ModeName, file: string, workers: number): BenchRoute {
  switch (mode) {
    case 'cgi':
      return { path: routePrefix, cgi: file }
    case 'fastcgi':
      return {
        path: routePrefix,
        fastcgi: { command: [file], directory: dirname(file), workers },
      }
    default:
      return mode satisfies never
  }
}
