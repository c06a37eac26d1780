/**
 * The first words of the commands beside `serve`: those that `commands.ts` loads, and those that are planned.
 *
 * A list apart from the commands themselves, which read it for "did you mean" and need not know one another.
 */

/** Commands with a module of their own. */
export const commandNames = ['call', 'fcgi', 'wsgi', 'reload', 'bench'] as const

export type CommandName = (typeof commandNames)[number]

/** Refused by name, so that nobody takes one for a folder. */
export const unbuiltCommands: readonly string[] = ['run', 'check', 'explain']
