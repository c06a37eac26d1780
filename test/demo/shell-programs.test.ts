/**
 * The demo programs in sh, through the server: what a visitor sees.
 */
import t from 'tap'
import { startDemo } from '../support/demo.js'
import { children } from '../support/processes.js'
import { waitFor } from '../support/wait-for.js'

t.test('hello.sh', async t => {
  const server = await startDemo(t)
  const response = await server.request('/cgi-bin/hello.sh')
  t.equal(response.status, 200)
  t.equal(response.header('content-type'), 'text/html; charset=utf-8')
  t.match(response.text(), '<h1>Hello from the shell</h1>')
})

t.test('env.sh shows the environment, sorted and escaped', async t => {
  const server = await startDemo(t)
  const response = await server.request('/cgi-bin/env.sh/some/path?a=<b>&c="d"', {
    headers: ['X-Evil: <script>alert("1")</script>&', 'X-High: \xff\xfe', 'Z-Last: 1'],
  })
  const html = response.text()
  const row = (name: string, value: string): string =>
    `<tr><th scope="row">${name}</th><td>${value}</td></tr>\n`
  t.match(html, row('PATH_INFO', '/some/path'))
  t.match(html, row('QUERY_STRING', 'a=&lt;b&gt;&amp;c=&quot;d&quot;'))
  t.match(
    html,
    row('HTTP_X_EVIL', '&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;'),
    'no markup of a client gets through',
  )
  t.match(html, row('HTTP_X_HIGH', '\xff\xfe'), 'bytes that are not UTF-8 stop nothing')
  t.match(html, row('HTTP_Z_LAST', '1'), 'the row after them is there')
  t.notMatch(html, '>PWD<', 'what the shell has made up is not shown')
  const names = [...html.matchAll(/<th scope="row">([^<]*)</g)].map(match => match[1])
  t.ok(names.length > 20, `${names.length} variables`)
  t.strictSame(names, [...names].sort(), 'sorted')
})

t.test('clock.sh sends each line when it is printed, and ends with its visitor', async t => {
  const server = await startDemo(t)
  const before = children().length
  const connection = await server.connect()
  connection.request('/cgi-bin/clock.sh')
  let html = ''
  const response = await connection.response({
    onData: chunk => {
      html += chunk.toString()
      if (html.includes(' 2 of 10:')) connection.destroy()
    },
  })
  t.equal(response.truncated, true, 'left long before the end')
  t.match(html, /<li> 1 of 10: \d\d:\d\d:\d\d<\/li>\n<li> 2 of 10/)
  t.notMatch(html, '3 of 10')
  await waitFor('the clock has stopped', () => children().length <= before)
})

t.test('redirect.sh points the browser, or the server, elsewhere', async t => {
  const server = await startDemo(t)
  const outside = await server.request('/cgi-bin/redirect.sh')
  t.equal(outside.status, 303)
  t.equal(outside.header('location'), '/cgi-bin/env.sh?sent-by=redirect.sh')

  const inside = await server.request('/cgi-bin/redirect.sh?inside')
  t.equal(inside.status, 200, 'E-5')
  t.match(inside.text(), '<td>sent-by=redirect.sh</td>')
})

t.test('fail.sh is an error page, and its words are in the log', async t => {
  const server = await startDemo(t)
  const response = await server.request('/cgi-bin/fail.sh')
  t.equal(response.status, 500)
  t.notMatch(response.text(), 'asked to fail')
  t.equal((await server.recordOf('this program was asked to fail')).level, 'error')
})
