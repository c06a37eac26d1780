/**
 * Text that comes from a stranger (a file name, a header, a program's stderr) made safe to print.
 *
 * One line stays one line, and no terminal takes orders from it (conventions F-3). Pure; nothing else
 * belongs here.
 */

// C0, DEL, C1, and the two Unicode line separators: whatever could move a cursor or begin a line.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const unprintable = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g

const named: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

/** The text with control characters as `\n`, `\x1b`, `\u2028`… */
export function printable(text: string): string {
  return text.replace(unprintable, character => named[character] ?? escaped(character))
}

function escaped(character: string): string {
  const code = character.charCodeAt(0)
  if (code > 0xff) return `\\u${code.toString(16).padStart(4, '0')}`
  return `\\x${code.toString(16).padStart(2, '0')}`
}
