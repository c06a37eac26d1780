/**
 * A subject for the loop delay tests: holds its event loop up once for 200 ms, says so, and lives on.
 */
const BLOCK_MS = 200

setTimeout(() => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BLOCK_MS)
  setTimeout(() => process.stdout.write('blocked\n'), 50)
}, 50)
setInterval(() => {}, 1000)
