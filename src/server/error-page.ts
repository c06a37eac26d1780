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

/** The page as HTML; with `stderr` (which may be empty) it is the developer's: code, cause and remedy. */
export function errorPage(error: GatewayError, id: string, stderr: string | undefined): string {
  const title = `${error.status} ${STATUS_CODES[error.status] ?? 'Error'}`
  const cause = stderr === undefined ? '' : developersPart(error, stderr)
  return (
    `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title>` +
    `<meta name="viewport" content="width=device-width"><style>${style}</style>` +
    `<h1>${title}</h1>${cause}<p>Request id <code>${escapeHtml(id)}</code></p></html>\n`
  )
}

function developersPart(error: GatewayError, stderr: string): string {
  const said = stderr === '' ? '' : `<h2>stderr</h2><pre>${escapeHtml(stderr)}</pre>`
  const cause = `<p><code>${error.code}</code> ${escapeHtml(error.message)}</p>`
  return `${cause}<p>${escapeHtml(error.remedy)}</p>${said}`
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
