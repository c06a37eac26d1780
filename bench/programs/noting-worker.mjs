/**
 * A FastCGI worker that writes down what it does, so that a test can prove which request was where when the
 * worker was killed. It shares no code with what is tested, and serves node's own descriptor 0.
 *
 * Appends lines to the file that NOTES names: `PID ready`, and for each request `PID + ID` when it has its
 * head, `PID > ID` before the first byte of the answer, `PID . ID` after the last, `PID ! ID` when it came
 * while another was running. A line is one write: kill -9 cannot take back what was noted. The path is
 * `/KIND/ID`: `quick` answers at once, `slow` after 10 ms, `begun` half at once and half after 15 ms, `grow`
 * takes 8 MiB for good, `hold` answers once there is a file of the name of NOTES with `.go` behind it. SIGUSR2
 * has it say on stderr which request it has, as a stack trace would. The answer is ID, pid and the number of bytes of the body.
 */
import { existsSync, openSync, writeSync } from 'node:fs'
import { createServer } from 'node:net'

const notes = openSync(process.env.NOTES, 'a')
const grown = []
let running = 0
let current = ''

createServer(serve).listen({ fd: 0 })
process.on('SIGTERM', () => process.exit(0))
process.on('SIGUSR2', () => writeSync(2, `stack:\n  at answer (${current})\n`))

function note(mark, id = '') {
  writeSync(notes, `${process.pid} ${mark} ${id}\n`)
}

function serve(socket) {
  let left = Buffer.alloc(0)
  let request
  socket.on('error', () => {})
  socket.on('data', chunk => {
    left = left.length === 0 ? chunk : Buffer.concat([left, chunk])
    while (left.length >= 8) {
      const length = left.readUInt16BE(4)
      const whole = 8 + length + left[6]
      if (left.length < whole) return
      const type = left[1]
      const content = left.subarray(8, 8 + length)
      left = left.subarray(whole)
      if (type === 9) {
        note('ready')
        socket.write(record(10, '', 0))
      }
      if (type === 1) request = { keep: content[2] === 1, params: [], bytes: 0, kind: '', id: '' }
      if (type === 4 && length > 0) request.params.push(content)
      if (type === 4 && length === 0) begin(request)
      if (type === 5 && length > 0) request.bytes += length
      if (type === 5 && length === 0) void answer(socket, request)
    }
  })
}

function begin(request) {
  const path = pathIn(Buffer.concat(request.params))
  const [, kind, id] = path.split('/')
  Object.assign(request, { kind, id })
  note('+', id)
  current = id
  if (running > 0) note('!', id)
  running++
}

async function answer(socket, { kind, id, bytes, keep }) {
  const text = `${id} ${process.pid} ${bytes}\n`
  if (kind === 'grow') grown.push(Buffer.alloc(8 * 1024 * 1024, 1))
  if (kind === 'slow') await pause(10)
  while (kind === 'hold' && !existsSync(`${process.env.NOTES}.go`)) await pause(5)
  note('>', id)
  const head = 'Content-Type: text/plain\r\n\r\n'
  if (kind === 'begun') {
    socket.write(record(6, head + text.slice(0, 2)))
    await pause(15)
    socket.write(record(6, text.slice(2)))
  } else {
    socket.write(record(6, head + text))
  }
  // Before END_REQUEST: after it the next request may come, and does.
  running--
  note('.', id)
  socket.write(Buffer.concat([record(6, ''), record(3, '\0'.repeat(8))]))
  if (!keep) socket.end()
}

function pause(ms) {
  return new Promise(resolve => setTimeout(resolve, ms))
}

function record(type, content, id = 1) {
  const body = Buffer.from(content, 'latin1')
  const header = [1, type, 0, id, body.length >> 8, body.length & 255, 0, 0]
  return Buffer.concat([Buffer.from(header), body])
}

function pathIn(bytes) {
  let at = 0
  const length = () => {
    if (bytes[at] < 128) return bytes[at++]
    at += 4
    return bytes.readUInt32BE(at - 4) & 0x7fffffff
  }
  while (at < bytes.length) {
    const [name, value] = [length(), length()]
    const middle = at + name
    at = middle + value
    if (bytes.latin1Slice(middle - name, middle) === 'PATH_INFO')
      return bytes.latin1Slice(middle, at)
  }
  return ''
}
