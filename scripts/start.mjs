// `npm start`: the demo of postern.yaml. Where this machine cannot start workers (no koffi) the same without them,
// rather than nothing at all; words behind `npm start --` go to `postern serve`.
import { chooseSpawner } from '../dist/process/choose.js'

const whole = []
const withoutWorkers = ['public', '--cgi-bin', 'cgi-bin']

// A mistake in POSTERN_SPAWN is reported by the command itself.
const choice = await chooseSpawner(process.env).catch(() => undefined)
const missing = choice?.spawner.name === 'node'
if (missing) console.error(`The demo runs without its FastCGI workers: ${choice.reason}.`)
process.argv.splice(2, 0, 'serve', ...(missing ? withoutWorkers : whole))
await import('../dist/cli/main.js')
