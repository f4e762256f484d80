import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Redis } from 'ioredis'
import type { Partition } from '../partition.ts'

export interface Script {
  readonly name: string
  readonly source: string
  readonly sha: string
}

const prelude = ['prelude', 'prelude_runs', 'prelude_keys', 'prelude_settle'].map(read).join('')

/**
 * A script as it is sent: a `#!lua` line, the preludes, the file.
 *
 * A script without flags is refused by a Redis that is out of memory before it has done anything, which is what intake
 * wants. Scripts that finish accepted work carry `allow-oom`: they must run just then, and settling frees memory.
 */
export function loadScript(
  name: string,
  flags?: 'allow-oom' | 'no-writes',
  /** Further files in front of it, for what only a few scripts share. */
  further: readonly string[] = [],
): Script {
  const script = read(name)
  const source = `#!lua${flags ? ` flags=${flags}` : ''}\n${usedBy(script, prelude + further.map(read).join(''))}${script}`
  return { name, source, sha: createHash('sha1').update(source).digest('hex') }
}

/**
 * What of the preludes a script uses, itself or through what it uses. Redis makes every local function anew at each call, and
 * the preludes have sixty of them.
 */
function usedBy(script: string, preludes: string): string {
  const used = namesIn(script)
  // A name is defined before it is used, so going backwards finds all users first.
  return preludes
    .split(/^(?=(?!end\b)[a-zA-Z])/m)
    .toReversed()
    .filter((statement) => {
      const [, defined] = /^local (?:function )?([\w, ]+)/.exec(statement) ?? []
      const isUsed = defined === undefined || defined.split(', ').some((name) => used.has(name.trim()))
      if (isUsed) for (const name of namesIn(statement)) used.add(name)
      return isUsed
    })
    .toReversed()
    .join('')
}

function namesIn(text: string): Set<string> {
  return new Set(text.replaceAll(/--.*$/gm, '').match(/[a-zA-Z_]\w*/g))
}

/** Run a script on a partition; ARGV[1] is the partition, as the prelude expects. */
export async function runScript(
  partition: Partition,
  script: Script,
  args: readonly (string | number)[],
): Promise<unknown> {
  const redis: Redis = partition.redis
  try {
    return await redis.evalsha(script.sha, 1, partition.keys.log, partition.hex, ...args)
  } catch (error) {
    // A server that restarted, or never saw the script, has no copy of it: send it once.
    if (error instanceof Error && error.message.startsWith('NOSCRIPT')) {
      return await redis.eval(script.source, 1, partition.keys.log, partition.hex, ...args)
    }
    throw error
  }
}

function read(name: string): string {
  return readFileSync(new URL(`./${name}.lua`, import.meta.url), 'utf8')
}
