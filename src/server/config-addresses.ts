/**
 * Addresses of programs that answer requests, as a configuration names them: resolved, fit for the system,
 * and each only once.
 *
 * The same for every gateway protocol. Whether somebody listens there is not asked: programs come and go.
 */
import { resolve } from 'node:path'
import { type Address, describeAddress } from '../upstream/address.js'
import { longestSocketPath } from './address.js'
import type { SettingPath } from './config-error.js'
import type { ConfigSurroundings } from './config-paths.js'

/**
 * One address; the path of a socket becomes absolute.
 * @throws ConfigError at the value, for a path that is longer than the system takes
 */
export function readAddress(
  { document, directory }: ConfigSurroundings,
  place: SettingPath,
  given: Address,
): Address {
  if (given.kind === 'tcp') return given
  const path = resolve(directory, given.path)
  if (Buffer.byteLength(path) <= longestSocketPath) return { kind: 'unix', path }
  return document.fail(
    place,
    `the path of a socket has at most ${longestSocketPath} bytes, ${path} is longer`,
    'write a shorter one, for example unix:/run/app.sock',
  )
}

/**
 * One address or a list of them, as a list.
 * @throws ConfigError at the first that is wrong or there already
 */
export function readAddresses(
  surroundings: ConfigSurroundings,
  place: SettingPath,
  given: Address | readonly Address[],
): readonly Address[] {
  if (!isList(given)) return [readAddress(surroundings, place, given)]
  const seen = new Set<string>()
  return given.map((each, index) => {
    const address = readAddress(surroundings, [...place, index], each)
    const text = describeAddress(address)
    if (seen.has(text)) {
      surroundings.document.fail(
        [...place, index],
        `${text} is there already`,
        'remove one of the two, and set capacity for more requests at once',
      )
    }
    seen.add(text)
    return address
  })
}

/** Array.isArray does not know read-only lists. */
function isList(given: Address | readonly Address[]): given is readonly Address[] {
  return Array.isArray(given)
}
