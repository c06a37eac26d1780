// Copies what is not TypeScript in src (shell and other programs) beside the compiled files.
import { cpSync } from 'node:fs'

const code = /\.ts$|\/__pycache__$/
cpSync(new URL('../src', import.meta.url), new URL('../dist', import.meta.url), {
  recursive: true,
  filter: source => !code.test(source),
})
