/**
 * Header field names to variables: the plain, the forbidden, the ambiguous.
 */
import t from 'tap'
import { headerVariable } from '../../src/cgi/header-variables.js'

t.test('B-10: HTTP_ and the name in upper case with underscores, whatever its case', async t => {
  for (const name of ['User-Agent', 'user-agent', 'USER-AGENT', 'uSER-aGENT']) {
    t.match(headerVariable(name), { variable: 'HTTP_USER_AGENT', ambiguous: false }, name)
  }
  t.equal(headerVariable('X-A1--b').variable, 'HTTP_X_A1__B')
})

t.test('B-11, B-12, B-13: what joins repeated fields', async t => {
  t.equal(headerVariable('X-A').separator, ', ')
  t.equal(headerVariable('cookie').separator, '; ')
  t.equal(headerVariable('Cookie').separator, '; ')
  t.equal(headerVariable('Authorization').separator, undefined)
  t.equal(headerVariable('HOST').separator, undefined)
})

t.test('B-14: Content-Type is CONTENT_TYPE, Content-Length is not the client’s to say', async t => {
  t.equal(headerVariable('content-Type').variable, 'CONTENT_TYPE')
  t.equal(headerVariable('Content-Length').variable, undefined)
})

t.test('B-18, B-20, B-21: names that never become variables, nor their twins', async t => {
  const names = [
    'Proxy',
    'PROXY',
    'Proxy-Authorization',
    'Proxy_Authorization',
    'Connection',
    'Keep-Alive',
    'Keep.Alive',
    'Proxy-Connection',
    'TE',
    'Trailer',
    'Transfer-Encoding',
    'Transfer_Encoding',
    'Upgrade',
    'Content_Length',
    'Content_Type',
    'CONTENT!TYPE',
  ]
  for (const name of names) t.equal(headerVariable(name).variable, undefined, name)
})

t.test('B-15, B-16: other characters make a name ambiguous', async t => {
  for (const name of ['X_A', 'X.A', 'X!A', 'X~A', 'X\xe9A']) {
    t.match(headerVariable(name), { variable: 'HTTP_X_A', ambiguous: true }, name)
  }
  t.equal(headerVariable('Content_Type').ambiguous, true)
})

t.test('the cache forgets, but never wrongly', async t => {
  const before = headerVariable('X-Kept')
  t.equal(headerVariable('X-Kept'), before, 'kept')
  for (let i = 0; i < 1_000; i++) headerVariable(`X-${i}`)
  t.not(headerVariable('X-Kept'), before, 'bounded: made anew after a thousand others')
  t.strictSame(headerVariable('X-Kept'), before)
  const long = `X-${'a'.repeat(100)}`
  t.not(headerVariable(long), headerVariable(long), 'long names are not kept')
})
