/**
 * The channel to a fork server at its end: what was said before the end is heard, or a script that was begun
 * would be begun again.
 */
import t from 'tap'
import { ForkMessages, openChannel } from '../../src/process/fork-message.js'
import { loadLibc } from '../../src/process/libc.js'

t.test(
  'a fork server that goes with messages unread: its last words come first, then the end',
  async t => {
    const libc = await loadLibc()
    const messages = new ForkMessages(libc)
    const { ours, servers } = openChannel(libc)
    t.teardown(() => void libc.close(ours))
    t.ok(messages.send(ours, 'start\x001\0/a.py'), 'a start that nobody reads')
    t.ok(messages.send(servers, 'started\x000\x0042'), 'another was begun')
    t.equal(messages.receive(ours)?.[0], 'started', 'heard while it lives')
    t.ok(messages.send(servers, 'started\x002\x0043'))
    libc.close(servers)
    t.strictSame(messages.receive(ours), ['started', '2', '43'], 'heard after its end')
    t.strictSame(messages.receive(ours), [], 'and nothing more')
  },
)

t.test('no message waits, and none will come', async t => {
  const libc = await loadLibc()
  const messages = new ForkMessages(libc)
  const { ours, servers } = openChannel(libc)
  t.teardown(() => void libc.close(ours))
  t.equal(messages.receive(ours), undefined)
  libc.close(servers)
  t.strictSame(messages.receive(ours), [])
})
