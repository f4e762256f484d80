import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import { describe, expect, it } from 'vitest'
import { createProgram } from '../src/program.ts'

const page = readFileSync(new URL('../../../docs/cli.md', import.meta.url), 'utf8')

/** Every command that does something, with the words that lead to it: `queue pause`. */
function leaves(command: Command, path: readonly string[] = []): { words: string; command: Command }[] {
  return command.commands.flatMap((child) => {
    const words = [...path, child.name()]
    return child.commands.length > 0 ? leaves(child, words) : [{ words: words.join(' '), command: child }]
  })
}
const COMMANDS = leaves(createProgram())

describe('the page on the command line', () => {
  it('has every command', () => {
    expect(COMMANDS.map(({ words }) => words)).toEqual(expect.arrayContaining(['up', 'queue pause', 'audit verify']))
    // As it stands in the table: a name alone, or with what it takes behind it.
    const missing = COMMANDS.filter(({ words }) => !new RegExp(`\`${words}[ \`]`).test(page))
    expect(missing.map(({ words }) => words)).toEqual([])
  })

  it('has no command that does not say what it does', () => {
    for (const { words, command } of COMMANDS) expect(command.description(), words).not.toBe('')
  })
})
