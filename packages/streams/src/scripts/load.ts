import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Redis } from 'ioredis'
import type { Partition } from '../partition.ts'

export interface Script {
  readonly name: string
  /** What happens at a call: the file, behind what it shares with only a few others. */
  readonly body: string
  readonly flags: readonly ('allow-oom' | 'no-writes')[]
}

export interface Library {
  /** `millrace_` and a hash of what is in it: versions of Millrace beside each other have each its own. */
  readonly name: string
  /** As `FUNCTION LOAD` takes it. */
  readonly source: string
}

const PRELUDES = ['prelude', 'prelude_lane', 'prelude_hand', 'prelude_runs', 'prelude_keys', 'prelude_settle']
  .map(read)
  .join('')
const NAME_PREFIX = 'millrace_'

const scripts = new Map<string, Script>()
let built: Library | undefined

/**
 * A script, as a function of the library.
 *
 * One without flags is refused by a Redis that is out of memory before it has done anything, which is what intake
 * wants. Scripts that finish accepted work carry `allow-oom`: they must run just then, and settling frees memory.
 */
export function loadScript(
  name: string,
  flag?: Script['flags'][number],
  /** Further files in front of it, for what only a few scripts share. */
  further: readonly string[] = [],
): Script {
  const script = { name, body: [...further, name].map(read).join(''), flags: flag ? [flag] : [] }
  scripts.set(name, script)
  built = undefined
  return script
}

/** All scripts as one library of functions: Redis compiles it once, keeps it with its data, and gives it to its replicas. */
export function scriptLibrary(): Library {
  if (built) return built
  const sorted = [...scripts.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1))
  const write = (library: string) => PRELUDES + sorted.map((script) => register(script, library)).join('')
  const hash = createHash('sha256').update(write('')).digest('hex').slice(0, 16)
  const name = `${NAME_PREFIX}${hash}`
  built = { name, source: `#!lua name=${name}\n${write(name)}` }
  return built
}

function register({ name, body, flags }: Script, library: string): string {
  const said = flags.map((flag) => `'${flag}'`).join(', ')
  return `
do
local function ${name}()
${body}
end
redis.register_function{ function_name = '${functionName(library, name)}', flags = { ${said} },
  callback = function(keys, args) return call(${name}, keys, args) end }
end
`
}

function functionName(library: string, script: string): string {
  return `${library}_${script}`
}

/** Run a script on a partition; ARGV[1] is the partition, as the prelude expects. */
export async function runScript(
  { redis, keys, hex }: Partition,
  { name }: Script,
  args: readonly (string | number)[],
): Promise<unknown> {
  const library = scriptLibrary()
  const call = () => redis.fcall(functionName(library.name, name), 1, keys.log, hex, ...args)
  try {
    return await call()
  } catch (error) {
    // A server that is new, or was told to forget its functions, does not have the library: give it to it.
    if (!(error instanceof Error && error.message.startsWith('ERR Function not found'))) throw error
    await redis.function('LOAD', 'REPLACE', library.source)
    return call()
  }
}

/**
 * Have a server forget the libraries of other versions. A process of another version that still runs gives its own back with its
 * next call.
 */
export async function dropOtherLibraries(redis: Redis): Promise<void> {
  const listed = (await redis.function('LIST', 'LIBRARYNAME', `${NAME_PREFIX}*`)) as (string | unknown)[][]
  for (const [, name] of listed) {
    if (name === scriptLibrary().name) continue
    await redis.function('DELETE', name as string).catch((error: unknown) => {
      // Another process that starts has done it.
      if (!(error instanceof Error && error.message.startsWith('ERR Library not found'))) throw error
    })
  }
}

function read(name: string): string {
  return readFileSync(new URL(`./${name}.lua`, import.meta.url), 'utf8')
}
