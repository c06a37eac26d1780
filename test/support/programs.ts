/**
 * Scripts for tests: the fixture programs by name, and small ones that print given bytes.
 *
 * A script that is about its output is written as that output; one that does something is a file in
 * test/fixtures/programs.
 */
import { readFileSync } from 'node:fs'
import type { RawResponse } from './raw-response.js'
import type { FileSpec } from './temp-root.js'

/** A file of test/fixtures/programs. */
export function program(name: string): FileSpec {
  return {
    content: readFileSync(new URL(`../fixtures/programs/${name}`, import.meta.url)),
    mode: 0o755,
  }
}

/** A script that prints exactly these bytes (latin-1): they follow its second line. */
export function printing(output: string): FileSpec {
  const content = Buffer.from(`#!/bin/sh\nexec tail -n +3 "$0"\n${output}`, 'latin1')
  return { content, mode: 0o755 }
}

/** A shell script of these lines. */
export function shell(...lines: readonly string[]): FileSpec {
  return { content: `#!/bin/sh\n${lines.join('\n')}\n`, mode: 0o755 }
}

/** Shell line that prints a plain head. */
export const plainHead = `printf 'Content-Type: text/plain\\n\\n'`

/** What environment.sh printed: name → value, bytes as latin-1. */
export function environmentOf(response: RawResponse): ReadonlyMap<string, string> {
  if (response.status !== 200) {
    throw new Error(`no environment but ${response.status}: ${response.text().slice(0, 300)}`)
  }
  const entries = response
    .text()
    .split('\0')
    .filter(entry => entry !== '')
  return new Map(
    entries.map(entry => {
      const at = entry.indexOf('=')
      return [entry.slice(0, at), entry.slice(at + 1)]
    }),
  )
}
