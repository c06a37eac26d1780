/**
 * The Django project of `test/fixtures/programs/wsgi/django_site`, with data of its own: tables, collected static
 * files and the user `admin` with the password `secret`, for whatever server hosts it.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { pythonWith, wsgiPrograms } from './python.js'
import { tempRoot } from './temp-root.js'

export interface DjangoSite {
  /** An interpreter that has Django. */
  readonly python: string
  /** Where `django_site.wsgi:application` is found. */
  readonly directory: string
  readonly application: string
  /** Variables that the processes need. */
  readonly env: Readonly<Record<string, string>>
  /** A folder with `static/`, for URLs below `/static/`. */
  readonly root: string
}

/** Makes the data; undefined after the test was told to skip, where there is no Django. */
export function djangoSite(t: Test): DjangoSite | undefined {
  const python = pythonWith(t, 'django')
  if (python === undefined) return undefined
  const root = join(tempRoot(t).path, 'data')
  mkdirSync(root)
  const env = { DJANGO_DATA: root, PYTHONDONTWRITEBYTECODE: '1' }
  execFileSync(python, [join(wsgiPrograms, 'django_prepare.py')], { env, stdio: 'pipe' })
  const application = 'django_site.wsgi:application'
  return { python, directory: wsgiPrograms, application, env, root }
}
