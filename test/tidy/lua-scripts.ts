import { posix } from 'node:path'
import type { Finding, SourceFile } from './repository.ts'

// What stands in front of every script, in parts; it takes no keys of its own, returns nothing, and is not run by itself.
const PRELUDE = /^prelude(_|$)/
const HEADER_WORDS = ['KEYS', 'ARGV', 'Returns']

/** Lua files without a header that says how to call them, without a typed wrapper, or that nobody loads. */
export function checkLuaScripts(files: readonly SourceFile[]): Finding[] {
  const sources = new Map(files.map(({ path, text }) => [path, text]))
  return files.filter(({ path }) => path.endsWith('.lua')).flatMap((script) => checkScript(script, sources))
}

function checkScript(script: SourceFile, sources: ReadonlyMap<string, string>): Finding[] {
  const name = posix.basename(script.path, '.lua')
  const header = headerOf(script.text)
  const fixes: string[] = []
  if (header === '') fixes.push('has no header: begin with what the script is for')
  if (!PRELUDE.test(name)) {
    for (const word of HEADER_WORDS) {
      if (!header.includes(word)) fixes.push(`does not name ${word} in its header: add it`)
    }
    const wrapper = script.path.replace(/\.lua$/, '.ts')
    if (!sources.has(wrapper)) fixes.push(`has no wrapper: write ${wrapper} with named arguments and a parsed reply`)
  }
  const isLoaded = [...sources].some(([path, text]) => path.endsWith('.ts') && isNamedIn(text, name))
  if (!isLoaded) fixes.push('is loaded by nobody: use it or remove it')
  return fixes.map((fix) => ({ file: script.path, line: 1, fix }))
}

/** The comment lines at the top. */
function headerOf(text: string): string {
  const lines = text.split('\n')
  const end = lines.findIndex((line) => !line.startsWith('--'))
  return lines.slice(0, end < 0 ? lines.length : end).join('\n')
}

function isNamedIn(text: string, name: string): boolean {
  return text.includes(`'${name}'`) || text.includes(`${name}.lua`)
}
