/**
 * Config templates.
 */
import t from 'tap'
import { fillTemplate, readTemplate } from '../../bench/site.js'

t.test('each @NAME@ is replaced, everywhere; other signs stay', async t => {
  t.equal(fillTemplate('a @DIR@/b @DIR@ $x @ %{y}i', { DIR: '/t' }), 'a /t/b /t $x @ %{y}i')
})

t.test('a name without a value is an error', async t => {
  t.throws(() => fillTemplate('@DIR@ @PORT@', { DIR: '/t' }), /no value for @PORT@/)
})

t.test('a value is not a replacement pattern', async t => {
  t.equal(fillTemplate('@DIR@', { DIR: '$&' }), '$&')
})

t.test('the templates are there', async t => {
  for (const name of ['nginx.conf', 'lighttpd.conf', 'apache.conf'])
    t.match(readTemplate(name), '@PORT@')
})
