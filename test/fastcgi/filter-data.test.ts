// G-23: the file of a filter, what is told of it, and that its descriptor always comes back.
import {
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { openFilterData } from '../../src/fastcgi/filter-data.js'
import { waitFor } from '../support/wait-for.js'

function makeFile(t: Test, content: Buffer): string {
  const folder = mkdtempSync(join(tmpdir(), 'filter-data-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'page.txt')
  writeFileSync(file, content)
  return file
}

const descriptors = (): number => readdirSync('/proc/self/fd').length

const linux = { skip: process.platform === 'linux' ? false : 'descriptors are counted in /proc' }

t.test('FastCGI §6.4: time in whole seconds, length, and exactly the bytes', async t => {
  for (const size of [0, 1, 65_535, 65_536, 65_537, 200_000]) {
    const content = Buffer.alloc(size, 'filter me ')
    const file = makeFile(t, content)
    utimesSync(file, 1_700_000_000.9, 1_700_000_000.9)
    const data = await openFilterData(file)
    t.equal(data.lastModified, 1_700_000_000)
    t.equal(data.length, size)
    t.ok((await buffer(data.stream)).equals(content), `${size} bytes`)
  }
})

t.test('a file found through a link is the file', async t => {
  const file = makeFile(t, Buffer.from('linked'))
  symlinkSync('page.txt', join(file, '..', 'link\xe9.txt'))
  const { stream } = await openFilterData(
    Buffer.from(join(file, '..', 'link\xe9.txt')).toString('latin1'),
  )
  t.equal(String(await buffer(stream)), 'linked')
})

t.test('what grows meanwhile is cut at the length told, what shrinks fails', async t => {
  const file = makeFile(t, Buffer.alloc(100_000, 'a'))
  const growing = await openFilterData(file)
  writeFileSync(file, Buffer.alloc(50_000, 'b'), { flag: 'a' })
  t.equal((await buffer(growing.stream)).length, 100_000)

  const shrinking = await openFilterData(file)
  truncateSync(file, 10)
  await t.rejects(buffer(shrinking.stream), { code: 'STORAGE_FAILED' })
})

t.test('nothing, a directory', async t => {
  const file = makeFile(t, Buffer.from(''))
  await t.rejects(openFilterData(`${file}x`), { code: 'NOT_FOUND' })
  await t.rejects(openFilterData(join(file, '..')), { code: 'NOT_FOUND' })
})

t.test('the descriptor comes back: unread, half read, read', linux, async t => {
  const file = makeFile(t, Buffer.alloc(1_000_000))
  const before = descriptors()
  const unread = await openFilterData(file)
  t.equal(descriptors(), before + 1)
  unread.stream.destroy()
  const half = await openFilterData(file)
  // Destroyed with a read on its way.
  half.stream.once('data', () => setImmediate(() => half.stream.destroy()))
  const busy = await openFilterData(file)
  busy.stream.read(0)
  busy.stream.destroy()
  await buffer((await openFilterData(file)).stream)
  await waitFor('the descriptors are back', () => descriptors() === before)
  t.equal(descriptors(), before)
})
