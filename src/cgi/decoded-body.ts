/**
 * A response body whose program printed chunks: the same body without them (`decodeChunked`).
 *
 * Nothing is collected; a coding that breaks off or is wrong breaks the body off.
 */
import { asGatewayError } from '../errors.js'
import type { ResponseBody } from '../gateway.js'
import { ChunkedDecoder } from './chunked.js'

/** `body` without its chunked coding. */
export function decodedBody(body: ResponseBody): ResponseBody {
  return {
    flow: sink => {
      let broken = false
      const decoder = new ChunkedDecoder(piece => sink.data(piece))
      body.flow({
        data: chunk => {
          if (broken) return
          try {
            decoder.push(chunk)
          } catch (error) {
            broken = true
            sink.fail(asGatewayError(error))
            body.cancel()
          }
        },
        end: () => {
          const error = broken ? undefined : decoder.finish()
          if (error !== undefined) sink.fail(error)
          else if (!broken) sink.end()
        },
        fail: error => {
          if (!broken) sink.fail(error)
        },
      })
    },
    pause: () => body.pause(),
    resume: () => body.resume(),
    cancel: () => body.cancel(),
  }
}
