/**
 * The page for a request that failed: neutral for the world, with cause and remedy for the developer.
 *
 * Pure. Everything that comes from outside is escaped. The long form is for loopback clients of a server
 * started with `--dev`, and nobody else.
 */
import { STATUS_CODES } from 'node:http'
import type { GatewayError } from '../errors.js'

const style =
  'body{font:1rem/1.5 system-ui,sans-serif;max-width:44rem;margin:4rem auto;padding:0 1rem;color-scheme:light dark}' +
  'code,pre{background:color-mix(in srgb,currentColor 9%,transparent);padding:.1em .3em;border-radius:.2em}'

/** The page as HTML; `detailed` adds code, cause and remedy. */
export function errorPage(error: GatewayError, id: string, detailed: boolean): string {
  const title = `${error.status} ${STATUS_CODES[error.status] ?? 'Error'}`
  const cause = detailed
    ? `<p><code>${error.code}</code> ${escapeHtml(error.message)}</p><p>${escapeHtml(error.remedy)}</p>`
    : ''
  return (
    `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title>` +
    `<meta name="viewport" content="width=device-width"><style>${style}</style>` +
    `<h1>${title}</h1>${cause}<p>Request id <code>${escapeHtml(id)}</code></p></html>\n`
  )
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** Text as HTML text or attribute value. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, character => entities[character] ?? '')
}
