/**
 * What was measured on: processor, kernel, versions, commit. Facts that a reader needs to repeat a run.
 */
import { execFileSync } from 'node:child_process'
import { cpus, release, totalmem } from 'node:os'

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryMiB: number
  readonly kernel: string
  readonly node: string
  readonly commit: string
  /** Program → first line of what it says about its version. */
  readonly peers: Readonly<Record<string, string>>
}

/** Never throws: what cannot be found out is `unknown`. */
export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryMiB: Math.round(totalmem() / 2 ** 20),
    kernel: release(),
    node: process.version,
    commit: firstLine('git', ['describe', '--always', '--dirty', '--exclude=*']),
    peers: {
      nginx: firstLine('/usr/sbin/nginx', ['-v']),
      fcgiwrap: firstLine('dpkg-query', ['-W', 'fcgiwrap']),
      lighttpd: firstLine('/usr/sbin/lighttpd', ['-v']),
      apache: firstLine('/usr/sbin/apache2', ['-v']),
      h2o: firstLine('/usr/bin/h2o', ['-v']),
      caddy: firstLine('dpkg-query', ['-W', 'caddy']),
      php: firstLine('/usr/sbin/php-fpm8.2', ['-v']),
      libfcgi: firstLine('dpkg-query', ['-W', 'libfcgi-dev']),
      go: firstLine('go', ['version']),
    },
  }
}

function firstLine(file: string, args: readonly string[]): string {
  try {
    // nginx says its version on stderr.
    const output = execFileSync('sh', ['-c', 'exec "$0" "$@" 2>&1', file, ...args], {
      cwd: import.meta.dirname,
      encoding: 'utf8',
    })
    return output.split('\n')[0]?.replaceAll('\t', ' ') ?? ''
  } catch {
    return 'unknown'
  }
}
