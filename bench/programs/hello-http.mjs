/**
 * A server of node:http on a unix socket: says hello, counts a body (`?count`), or pours 64 MiB (`?big`).
 */
import { createServer } from 'node:http'

const piece = Buffer.alloc(64 * 1024)
const bigBytes = 64 * 1024 * 1024

const server = createServer({ keepAliveTimeout: 3_600_000 }, (req, res) => {
  res.setHeader('Content-Type', 'text/plain')
  if (req.url.endsWith('?big')) {
    pour(res, bigBytes)
    return
  }
  if (!req.url.endsWith('?count')) {
    res.setHeader('Content-Length', 13)
    res.end('Hello, world\n')
    return
  }
  let bytes = 0
  req.on('data', chunk => {
    bytes += chunk.length
  })
  req.on('end', () => res.end(`${String(bytes).padStart(8)}\n`))
})

function pour(res, left) {
  let rest = left
  const more = () => {
    while (rest > 0) {
      rest -= piece.length
      if (!res.write(piece)) {
        res.once('drain', more)
        return
      }
    }
    res.end()
  }
  more()
}

server.listen(process.argv[2])
