/**
 * The figures of a benchmark as one sentence that can be quoted. Pure.
 *
 * Nothing is claimed that the rounds do not show: where the rounds of two modes overlap there is no difference, and
 * where answers were missing or wrong the speed is worth nothing.
 */
import type { Figures } from './figures.js'
import { digits } from './numbers.js'

/** The sentence about one mode, or about the fastest against each other one. */
export function verdict(modes: readonly Figures[]): string {
  const [first, ...others] = modes
  if (first === undefined) return 'No round was finished, so there is no verdict.'
  const faulty = modes.filter(({ errors, wrong }) => errors + wrong > 0)
  if (faulty.length > 0) return `${faulty.map(describeFaults).join('; ')}: no verdict on speed.`
  if (others.length === 0) return `${describeAlone(first)}.`
  const speed = others.map(other => compareSpeed(first, other))
  return `${speed.join('; ')}${describeCosts(modes)}.`
}

function describeFaults({ title, errors, wrong }: Figures): string {
  return `${title} had ${errors} requests without an answer and ${wrong} wrong answers`
}

function describeAlone({ title, rate, cpuSecondsPer1000 }: Figures): string {
  const carries = `${title} carries ${digits(rate.median)} requests/s here`
  if (cpuSecondsPer1000 === undefined) return carries
  return `${carries} and costs ${digits(cpuSecondsPer1000)} ms of CPU per request`
}

/** Seconds per thousand are milliseconds each. */
function describeCosts(modes: readonly Figures[]): string {
  const costs = modes.flatMap(({ title, cpuSecondsPer1000: cost }) =>
    cost === undefined ? [] : [`${digits(cost)} ms of CPU as ${title}`],
  )
  return costs.length < modes.length ? '' : `; a request costs ${costs.join(' and ')}`
}

function compareSpeed(one: Figures, other: Figures): string {
  const [fast, slow] = one.rate.median > other.rate.median ? [one, other] : [other, one]
  if (fast.rate.least <= slow.rate.greatest) {
    return `no difference shown between ${one.title} and ${other.title} in requests/s`
  }
  return `${fast.title} carries ${digits(fast.rate.median / slow.rate.median)} times as many requests as ${slow.title}`
}
