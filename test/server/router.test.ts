/**
 * The longest prefix wins, on whole segments, with runs of slashes merged.
 */
import t from 'tap'
import { createRouter } from '../../src/server/router.js'

const match = (paths: readonly string[], path: string) => {
  const found = createRouter(paths.map(path => ({ path, exact: true }))).match(path)
  return found && [found.route.path, found.rest]
}

t.test('the rest begins with the slash that ends the prefix', async t => {
  t.strictSame(match(['/cgi-bin/'], '/cgi-bin/env.cgi/a'), ['/cgi-bin/', '/env.cgi/a'])
  t.strictSame(match(['/cgi-bin/'], '/cgi-bin/'), ['/cgi-bin/', '/'])
  t.strictSame(match(['/'], '/x'), ['/', '/x'])
  t.strictSame(match(['/'], '/'), ['/', '/'])
})

t.test('the longest prefix wins, in whatever order they are given', async t => {
  for (const paths of [
    ['/', '/a/', '/a/b/'],
    ['/a/b/', '/a/', '/'],
  ]) {
    t.strictSame(match(paths, '/a/b/c'), ['/a/b/', '/c'])
    t.strictSame(match(paths, '/a/bc'), ['/a/', '/bc'])
    t.strictSame(match(paths, '/ab'), ['/', '/ab'])
    t.strictSame(match(paths, '/a/b'), ['/a/b/', ''])
  }
})

t.test('the first of two routes with the same path wins', async t => {
  const routes = [
    { path: '/a/', n: 1 },
    { path: '/a/', n: 2 },
  ]
  t.equal(createRouter(routes).match('/a/x')?.route, routes[0])
})

t.test('L-6: /x is for the route /x/, /xy never is', async t => {
  t.strictSame(match(['/git/', '/gitweb/'], '/git'), ['/git/', ''])
  t.strictSame(match(['/git/', '/gitweb/'], '/gitweb'), ['/gitweb/', ''])
  t.equal(match(['/git/'], '/gitweb'), undefined)
  t.equal(match(['/git/'], '/gi'), undefined)
  t.equal(match(['/git/'], '/Git/'), undefined)
  t.equal(match(['/git/'], '/'), undefined)
  t.equal(match([], '/'), undefined)
})

t.test('A-11: runs of slashes are merged while matching, the rest keeps its own', async t => {
  t.strictSame(match(['/cgi-bin/'], '//cgi-bin//env.cgi//a//b'), ['/cgi-bin/', '//env.cgi//a//b'])
  t.strictSame(match(['/cgi-bin/'], '/cgi-bin//env.cgi'), ['/cgi-bin/', '//env.cgi'])
  t.strictSame(match(['/a/b/', '/'], '///a//b'), ['/a/b/', ''])
  t.strictSame(match(['/a/b/', '/'], '/a//b/'), ['/a/b/', '/'])
  t.strictSame(match(['/a/b/', '/'], '/a//bc'), ['/', '/a//bc'])
  t.strictSame(match(['/'], '//x'), ['/', '//x'])
})

t.test('a prefix above ASCII is compared as bytes', async t => {
  t.strictSame(match(['/é/'], '/\xc3\xa9/x'), ['/é/', '/x'])
  t.equal(match(['/é/'], '/\xe9/x'), undefined)
})
