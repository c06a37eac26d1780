/**
 * One value against one schema: the earliest mistake in the file becomes a ConfigError.
 *
 * zod says what is wrong and where in the value; here that becomes a line and column. One mistake at a
 * time: the first is usually the cause of the others.
 */
import type { z } from 'zod'
import type { ConfigDocument } from './config-document.js'
import { ConfigError, describePath, type SettingPath, type SettingPlace } from './config-error.js'

type Issue = z.core.$ZodIssue

/**
 * The value as the schema gives it.
 * @param path where in the document the value is
 * @throws ConfigError naming the earliest mistake
 */
export function check<Schema extends z.ZodType>(
  document: ConfigDocument,
  schema: Schema,
  value: unknown,
  path: SettingPath,
): z.output<Schema> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const [first] = result.error.issues
    .flatMap(issue => causes(issue, path))
    .map(issue => asConfigError(document, issue))
    .sort((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0))
  throw first ?? result.error
}

interface Cause {
  readonly issue: Issue
  readonly path: SettingPath
}

/** The issue with its whole path; a union is represented by the alternative that was meant. */
function causes(issue: Issue, above: SettingPath): Cause[] {
  const path: SettingPath = [...above, ...(issue.path as SettingPath)]
  if (issue.code !== 'invalid_union') return [{ issue, path }]
  const meant = issue.errors.find(
    alternative => !alternative.some(({ code, path: [step] }) => isWrongType(code, step)),
  )
  return meant === undefined ? [{ issue, path }] : meant.flatMap(inner => causes(inner, path))
}

/** Whether an alternative of a union failed as a whole, so that its own words would mislead. */
function isWrongType(code: Issue['code'], step: PropertyKey | undefined): boolean {
  return step === undefined && (code === 'invalid_type' || code === 'invalid_union')
}

function asConfigError(document: ConfigDocument, { issue, path }: Cause): ConfigError {
  const [problem = '', remedy = ''] = issue.message.split('\n')
  const unknownKey = issue.code === 'unrecognized_keys' ? issue.keys[0] : undefined
  if (unknownKey === undefined) return describe(document.place(path), path, problem, remedy)
  const keyPath = [...path, unknownKey]
  return describe(document.keyPlace(keyPath), keyPath, problem, remedy)
}

function describe(place: SettingPlace, path: SettingPath, problem: string, remedy: string) {
  const subject = path.length === 0 ? '' : `${describePath(path)}: `
  return new ConfigError(place, `${subject}${problem}`, remedy)
}
