/**
 * Where a program that answers requests listens, as every gateway protocol knows it.
 *
 * Types and their text; reading what people write is `server/address.ts`, since messages about mistakes
 * belong there.
 */

/** A TCP address (host without brackets) or the absolute path of a unix socket. */
export type Address =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

/** `unix:/run/app.sock`, `127.0.0.1:9000`, `[::1]:9000`. */
export function describeAddress(address: Address): string {
  if (address.kind === 'unix') return `unix:${address.path}`
  const host = address.host.includes(':') ? `[${address.host}]` : address.host
  return `${host}:${address.port}`
}
