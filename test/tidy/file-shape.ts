import { posix } from 'node:path'
import type { Finding, SourceFile } from './repository.ts'

const MAX_LINES = 300
// Words that say nothing of what a file owns, so that everything ends up in it.
const EMPTY_WORDS = new Set(['util', 'utils', 'helper', 'helpers', 'common', 'manager', 'misc'])

/** Files whose name does not say what they own, and files that are too long to have one duty. */
export function checkFileShape(files: readonly SourceFile[]): Finding[] {
  return files.flatMap((file) => {
    const fixes: string[] = []
    const name = posix.basename(file.path).split('.', 1)[0]!
    // "types" is empty only by itself: event-types.ts owns the types of events.
    const empty = name === 'types' ? name : name.split(/[-_]/).find((word) => EMPTY_WORDS.has(word))
    if (empty) fixes.push(`is named "${empty}": name it for what it owns`)
    const lines = file.text.trimEnd().split('\n').length
    if (lines > MAX_LINES) fixes.push(`has ${lines} lines: give each duty a file of its own, under ${MAX_LINES}`)
    return fixes.map((fix) => ({ file: file.path, line: 1, fix }))
  })
}
