/**
 * The application of bench/responder.ts: one handler, served by the library that the first argument names on
 * the unix socket that the second one names. `responder` and `http` are ours and Node's; anything else is the
 * path of node-fastcgi.
 */
import { createServer as createHttpServer } from 'node:http'
import { createRequire } from 'node:module'

const [library, socket] = process.argv.slice(2)
const greeting = 'Hello from an application that does next to nothing, as the others do.\n'

function handler(req, res) {
  res.setHeader('Content-Type', 'text/plain')
  if (req.method !== 'POST') {
    res.end(greeting)
    return
  }
  req.on('data', () => {})
  req.on('end', () => res.end(greeting))
}

switch (library) {
  case 'responder': {
    const { createServer } = await import('../../src/fastcgi.ts')
    await createServer(handler).listen(socket)
    break
  }
  case 'http':
    // A connection kept by nginx is not to be closed by the other side.
    createHttpServer({ keepAliveTimeout: 0 }, handler).listen(socket)
    break
  default:
    createRequire(import.meta.url)(library)
      .createServer(handler)
      .listen(socket)
}
