/**
 * A visitor of a site with sessions: keeps its cookies, sends forms, follows nothing by itself.
 */
import type { RawResponse } from './raw-response.js'
import type { TestServer } from './serve.js'

const boundary = 'x-boundary'

export class SiteVisitor {
  readonly #server: TestServer
  readonly #cookies = new Map<string, string>()

  constructor(server: TestServer) {
    this.#server = server
  }

  cookie(name: string): string | undefined {
    return this.#cookies.get(name)
  }

  get(target: string, headers: readonly string[] = []): Promise<RawResponse> {
    return this.#ask(target, 'GET', headers)
  }

  /** Sends fields as a form of a page would. */
  post(target: string, fields: Readonly<Record<string, string>>): Promise<RawResponse> {
    const type = 'Content-Type: application/x-www-form-urlencoded'
    return this.#ask(target, 'POST', [type], Buffer.from(new URLSearchParams(fields).toString()))
  }

  /** Sends a form of one field, `title`, and one file. */
  upload(target: string, title: string, file: Buffer, headers: readonly string[] = []) {
    const part = (disposition: string): string =>
      `--${boundary}\r\nContent-Disposition: form-data; ${disposition}\r\n`
    const body = Buffer.concat([
      Buffer.from(`${part('name="title"')}\r\n${title}\r\n`),
      Buffer.from(`${part('name="file"; filename="a.bin"')}Content-Type: image/x\r\n\r\n`),
      file,
      Buffer.from(`\r\n--${boundary}--\r\n`),
    ])
    const type = `Content-Type: multipart/form-data; boundary=${boundary}`
    return this.#ask(target, 'POST', [type, ...headers], body)
  }

  async #ask(
    target: string,
    method: string,
    headers: readonly string[],
    body?: Buffer,
  ): Promise<RawResponse> {
    const cookies = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const all = cookies === '' ? headers : [...headers, `Cookie: ${cookies}`]
    const parts = body === undefined ? { method, headers: all } : { method, headers: all, body }
    const response = await this.#server.request(target, parts)
    for (const line of response.all('set-cookie')) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      this.#cookies.set(name, value)
    }
    return response
  }
}
