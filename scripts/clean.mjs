// Removes the build before a new one, so that no file of a deleted module is left in dist.
import { rmSync } from 'node:fs'

rmSync(new URL('../dist', import.meta.url), { recursive: true, force: true })
