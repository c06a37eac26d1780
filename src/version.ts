/**
 * The version of this package, read from package.json once, and the name that servers tell.
 */
import { readFileSync } from 'node:fs'

const manifest: unknown = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
)

/** For example `0.1.0`. */
export const version: string =
  typeof manifest === 'object' && manifest !== null && 'version' in manifest
    ? String(manifest.version)
    : '0.0.0'

/** SERVER_SOFTWARE and the Server header: `Postern/0.1.0`. */
export const serverSoftware = `Postern/${version}`
