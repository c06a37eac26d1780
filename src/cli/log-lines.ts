/**
 * The log of the command: one readable line per record, or pino's JSON where access lines are JSON.
 *
 * `warn the script wrote to stderr id=… script="/a b"`: level, sentence, fields. Control characters are
 * escaped (conventions F-3), so a record is always one line and a terminal takes no orders from it.
 */
import type { LogFields, Logger } from '../log.js'
import type { LogConfig } from '../server/config.js'
import { printable } from '../server/printable.js'
import type { Output } from './output.js'

type Level = keyof Logger

const levels: readonly Level[] = ['debug', 'info', 'warn', 'error']

const nothing = (): void => {}

/** The logger that `log` asks for, writing to `output`. */
export async function createLogger(
  { access, level }: LogConfig,
  output: Pick<Output, 'write'>,
): Promise<Logger> {
  if (access !== 'json') return createLineLogger(level, output)
  const { pino, stdTimeFunctions } = await import('pino')
  const logger = pino(
    { level, base: { pid: process.pid }, timestamp: stdTimeFunctions.isoTime },
    output,
  )
  // A logger of its own shape: TypeScript takes pino's for something that may have `then`.
  return {
    debug: logger.debug.bind(logger),
    info: logger.info.bind(logger),
    warn: logger.warn.bind(logger),
    error: logger.error.bind(logger),
  }
}

/** The readable form. */
export function createLineLogger(level: LogConfig['level'], output: Pick<Output, 'write'>): Logger {
  const least = level === 'silent' ? levels.length : levels.indexOf(level)
  const at = (name: Level): Logger[Level] => {
    if (levels.indexOf(name) < least) return nothing
    return (fields, message) => output.write(formatLine(name, fields, message))
  }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

/** One record as a line with its line feed. */
export function formatLine(level: Level, fields: LogFields, message: string): string {
  let line = `${level} ${printable(message)}`
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined) line += ` ${name}=${formatValue(value)}`
  }
  return `${line}\n`
}

function formatValue(value: unknown): string {
  if (typeof value === 'string') return quoteIfNeeded(value)
  if (value instanceof Error) return quoteIfNeeded(value.stack ?? value.message)
  if (typeof value !== 'object' || value === null) return String(value)
  return printable(JSON.stringify(value) ?? '')
}

/** Quotes where a space, a quote or an equals sign would blur the borders of the value. */
function quoteIfNeeded(text: string): string {
  if (text !== '' && !/[\s"=]/.test(text)) return printable(text)
  return printable(JSON.stringify(text))
}
