import type { Command } from 'commander'
import { describe, expect, it } from 'vitest'
import { createProgram } from '../src/program.ts'

/** The commands that do something, with their names as one types them. */
function leaves(command: Command, path: readonly string[] = []): [string, Command][] {
  if (command.commands.length === 0) return [[path.join(' '), command]]
  return command.commands.flatMap((child) => leaves(child, [...path, child.name()]))
}

function helpOf(command: Command): string {
  let text = ''
  const writeOut = (piece: string) => {
    text += piece
  }
  command.configureOutput({ writeOut }).outputHelp()
  return text
}

describe('millrace … --help', () => {
  const all = leaves(createProgram())

  it('is there for all commands', () => {
    expect(all.length).toBeGreaterThan(40)
  })

  it.each(all)('%s: shows how it is used, with an example', (name, command) => {
    const help = helpOf(command)
    expect(help).toMatch(new RegExp(`^Usage: millrace ${name}( |$)`, 'm'))
    expect(help).toMatch(new RegExp(`^ +\\$ millrace ${name}( |$)`, 'm'))
    expect(command.description()).not.toBe('')
  })
})
