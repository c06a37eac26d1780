/**
 * The words for programs that did not start: each cause made on disk, each system error explained.
 */
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type ExecSurroundings, explainExecFailure } from '../../src/cgi/exec-failure.js'

function makeFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'exec-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  return folder
}

function makeFile(t: Test, content: string | Buffer, mode = 0o755): string {
  const file = join(makeFolder(t), 'x.cgi')
  writeFileSync(file, content)
  chmodSync(file, mode)
  return file
}

function explain(file: string, systemCode: string, around?: ExecSurroundings) {
  const { code, detail } = explainExecFailure(file, systemCode, around)
  return { code, detail }
}

t.test('C-7: a missing interpreter is named', async t => {
  const file = makeFile(t, '#! /opt/none/python9 -u\nprint()\n')
  t.strictSame(explain(file, 'ENOENT'), {
    code: 'INTERPRETER_NOT_FOUND',
    detail: `"${file}" asks for "/opt/none/python9", which does not exist.`,
  })
})

t.test('C-7: a carriage return is shown, with advice', async t => {
  const { code, detail } = explain(makeFile(t, '#!/bin/sh\r\necho\r\n'), 'ENOENT')
  t.equal(code, 'INTERPRETER_NOT_FOUND')
  t.match(detail, '"/bin/sh\\r"')
  t.match(detail, 'carriage return (\\r): save the script with Unix line ends')
  t.notMatch(detail, '\r')
})

t.test('C-7: an interpreter without a path', async t => {
  const { code, detail } = explain(makeFile(t, '#!none9\n'), 'ENOENT')
  t.equal(code, 'INTERPRETER_NOT_FOUND')
  t.match(detail, /"none9".*absolute path/)
})

t.test('C-7: an interpreter that is itself a script with a missing one', async t => {
  const interpreter = makeFile(t, '#!/opt/none\n')
  const { code, detail } = explain(makeFile(t, `#!${interpreter}\n`), 'ENOENT')
  t.equal(code, 'INTERPRETER_NOT_FOUND')
  t.match(detail, `"${interpreter}" asks for "/opt/none"`)
})

t.test('C-7: interpreters in a circle end somewhere', async t => {
  const file = join(makeFolder(t), 'x')
  writeFileSync(file, `#!${file}\n`)
  t.equal(explain(file, 'ENOENT').code, 'SPAWN_FAILED')
  t.match(explain(file, 'ELOOP'), { code: 'SPAWN_FAILED', detail: /circle/ })
})

/** An ELF program of one PT_INTERP header, by hand. */
function elf(wide: boolean, loader: string): Buffer {
  const file = Buffer.alloc(512)
  file.write('\x7fELF', 'latin1')
  file[4] = wide ? 2 : 1
  file[5] = 1
  const table = 128
  if (wide) {
    file.writeBigUInt64LE(BigInt(table), 0x20)
    file.writeUInt16LE(56, 0x36)
    file.writeUInt16LE(2, 0x38)
    file.writeUInt32LE(6, table)
    file.writeUInt32LE(3, table + 56)
    file.writeBigUInt64LE(400n, table + 56 + 8)
  } else {
    file.writeUInt32LE(table, 0x1c)
    file.writeUInt16LE(32, 0x2a)
    file.writeUInt16LE(2, 0x2c)
    file.writeUInt32LE(6, table)
    file.writeUInt32LE(3, table + 32)
    file.writeUInt32LE(400, table + 32 + 4)
  }
  file.write(`${loader}\0`, 400, 'latin1')
  return file
}

t.test('C-7: a missing dynamic loader is named', async t => {
  for (const wide of [true, false]) {
    const { code, detail } = explain(makeFile(t, elf(wide, '/lib/ld-none.so.1')), 'ENOENT')
    t.equal(code, 'INTERPRETER_NOT_FOUND')
    t.match(detail, 'built for the loader "/lib/ld-none.so.1", which does not exist')
  }
  t.equal(explain(makeFile(t, elf(true, '/bin/sh')), 'ENOENT').code, 'SPAWN_FAILED', 'it exists')
  for (const bytes of [elf(true, '/x').subarray(0, 70), elf(true, '').subarray(0, 200)]) {
    t.equal(explain(makeFile(t, bytes), 'ENOENT').code, 'SPAWN_FAILED', 'cut short')
  }
})

t.test('a file that is gone', async t => {
  const file = join(makeFolder(t), 'gone.cgi')
  t.strictSame(explain(file, 'ENOENT'), {
    code: 'SCRIPT_NOT_FOUND',
    detail: `"${file}" is gone (ENOENT).`,
  })
  const mapped = explain('/opt/none/python9', 'ENOENT', { script: makeFile(t, '') })
  t.equal(mapped.code, 'INTERPRETER_NOT_FOUND', 'A-16')
  t.match(mapped.detail, '"/opt/none/python9", which the route maps to')
})

t.test('C-1: a missing working directory', async t => {
  const file = makeFile(t, '#!/bin/sh\n')
  const cwd = join(makeFolder(t), 'gone')
  t.match(explain(file, 'ENOENT', { cwd }), {
    code: 'SPAWN_FAILED',
    detail: `The working directory "${cwd}" does not exist`,
  })
  t.match(explain(file, 'ENOTDIR', { cwd: file }).detail, 'is no directory')
  const other = makeFile(t, '#!/opt/none\n')
  t.equal(explain(other, 'ENOENT', { cwd: tmpdir() }).code, 'INTERPRETER_NOT_FOUND')
})

t.test('C-7: ENOEXEC', async t => {
  const code = 'NO_INTERPRETER_LINE'
  t.match(explain(makeFile(t, ''), 'ENOEXEC'), { code, detail: /is empty/ })
  t.match(explain(makeFile(t, '\ufeff#!/bin/sh\n'), 'ENOEXEC'), { code, detail: /byte order mark/ })
  const foreign = explain(makeFile(t, elf(true, '/x')), 'ENOEXEC')
  t.match(foreign, { code, detail: /another kind of machine/ })
  const file = makeFile(t, 'echo hi\n')
  t.strictSame(explain(file, 'ENOEXEC'), { code, detail: `"${file}" (ENOEXEC).` })
})

t.test('C-7: EACCES names what refuses', async t => {
  const plain = makeFile(t, '#!/bin/sh\n', 0o644)
  t.strictSame(explain(plain, 'EACCES'), {
    code: 'EXEC_DENIED',
    detail: `"${plain}" has mode 0644 (EACCES).`,
  })
  const interpreter = makeFile(t, 'x', 0o600)
  t.match(explain(makeFile(t, `#!${interpreter}\n`), 'EACCES'), {
    code: 'EXEC_DENIED',
    detail: `The interpreter in the #! line refuses: "${interpreter}" has mode 0600`,
  })
  const folder = makeFolder(t)
  t.match(explain(makeFile(t, `#!${folder}\n`), 'EACCES').detail, `"${folder}" is a directory`)
  t.match(explain(makeFile(t, '#!/bin/sh\n'), 'EACCES'), { code: 'EXEC_DENIED', detail: /noexec/ })
})

const isRoot = process.getuid?.() === 0 && 'root may enter every folder'

t.test('C-7: EACCES because of a folder', { skip: isRoot }, async t => {
  const closed = join(makeFolder(t), 'closed')
  mkdirSync(closed)
  copyFileSync('/bin/sh', join(closed, 'x'))
  chmodSync(closed, 0o600)
  t.match(explain(join(closed, 'x'), 'EACCES'), {
    code: 'EXEC_DENIED',
    detail: `The folder "${closed}" may not be entered`,
  })
  chmodSync(closed, 0o700)
})

t.test('C-9: no room is a 503', async t => {
  for (const systemCode of ['EAGAIN', 'ENOMEM', 'EMFILE', 'ENFILE']) {
    const error = explainExecFailure('/bin/sh', systemCode)
    t.equal(error.code, 'SPAWN_EXHAUSTED')
    t.equal(error.status, 503)
    t.match(error.detail, systemCode)
  }
})

t.test('the rest', async t => {
  t.equal(explain('/bin/sh', 'E2BIG').code, 'ENVIRONMENT_TOO_LARGE')
  t.match(explain('/bin/sh', 'ETXTBSY'), { code: 'SPAWN_FAILED', detail: /being written/ })
  t.match(explain('/bin/sh', 'EIO'), { code: 'SPAWN_FAILED', detail: '"/bin/sh" (EIO).' })
  t.match(explain('/tmp/\xe9\n', 'EIO').detail, '"/tmp/\xe9\\n"', 'control characters are shown')
})
