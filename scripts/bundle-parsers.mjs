// Makes one file each of the packages that read flags and configurations, and lets dist import that. They are
// two hundred small modules, and finding and compiling these took half the time from start to first answer.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { build } from 'esbuild'

const dist = new URL('../dist/', import.meta.url)
const packages = ['yaml', 'zod', 'yargs']
const folders = ['server', 'cli']

/** zod has its messages in fifty languages; ours are our own, and the default is English. */
const englishOnly = {
  name: 'english-only',
  setup(bundle) {
    bundle.onLoad({ filter: /zod\/v4\/locales\/index\.js$/ }, () => ({
      contents: "export { default as en } from './en.js'",
    }))
  },
}

await build({
  entryPoints: packages.map(name => ({ in: name, out: name })),
  outdir: new URL('bundled', dist).pathname,
  bundle: true,
  format: 'esm',
  platform: 'neutral',
  mainFields: ['module', 'main'],
  // yargs has parts that are CommonJS and ask for modules of Node.
  external: [...builtinModules, 'node:*'],
  banner: {
    js: "import { createRequire as requireFrom } from 'node:module'; var require = requireFrom(import.meta.url)",
  },
  target: 'node20',
  minifySyntax: true,
  legalComments: 'eof',
  logLevel: 'warning',
  plugins: [englishOnly],
})

const imported = new RegExp(`from '(${packages.join('|')})'`, 'g')
for (const folder of folders) {
  for (const file of readdirSync(new URL(`${folder}/`, dist))) {
    if (!file.endsWith('.js')) continue
    const path = new URL(`${folder}/${file}`, dist)
    const code = readFileSync(path, 'utf8')
    const changed = code.replace(imported, "from '../bundled/$1.js'")
    if (changed !== code) writeFileSync(path, changed)
  }
}
