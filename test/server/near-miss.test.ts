import t from 'tap'
import { nearMiss } from '../../src/server/near-miss.js'

const known = ['listen', 'root', 'index', 'processes', 'timeouts', 'log', 'env']

t.test('the name that was meant', async t => {
  for (const [given, meant] of [
    ['listn', 'listen'],
    ['lsiten', 'listen'],
    ['Listen', 'listen'],
    ['timeout', 'timeouts'],
    ['process', 'processes'],
    ['logs', 'log'],
    ['evn', 'env'],
  ] as const) {
    t.equal(nearMiss(given, known), meant, given)
  }
})

t.test('nothing near', async t => {
  for (const given of ['', 'x', 'routes', 'certificate', 'sock']) {
    t.equal(nearMiss(given, known), undefined, given)
  }
})
