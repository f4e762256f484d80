import { judgeMemory, type MemorySample, residentMib } from './memory.ts'
import type { Platform } from './platform.ts'
import { formatTable } from './report.ts'

/** Watches what a platform has in memory, minute by minute, and judges it at the end. */
export interface MemoryWatch {
  watch(platform: Platform): Promise<void>
  /** What rose, as violations, with the table of it all. */
  judge(): { readonly report: string; readonly violations: readonly string[] }
}

const SAMPLE_MS = 10_000
const PRINT_EVERY = 6
const SCAN_COUNT = 5000
const MIB = 1024 * 1024

export function watchMemory(say: (line: string) => void): MemoryWatch {
  const samples: MemorySample[] = []
  let nextAt = 0
  const print = ({ mib }: MemorySample) =>
    say(
      `MiB: ${Object.entries(mib)
        .map(([name, value]) => `${name} ${value.toFixed(0)}`)
        .join(', ')}`,
    )
  return {
    async watch(platform) {
      if (Date.now() < nextAt) return
      nextAt = Date.now() + SAMPLE_MS
      const store = await storeMib(platform).catch(() => undefined)
      // Redis is away; the next sample has it again.
      if (!store) return
      const apps = platform.apps.map(({ name, pid }) => [name, residentMib(pid)] as const)
      const known = apps.filter((each): each is [string, number] => each[1] !== undefined)
      const sample = { atMs: Date.now(), mib: { ...Object.fromEntries(known), ...store } }
      samples.push(sample)
      if (samples.length % PRINT_EVERY === 1) print(sample)
    },
    judge() {
      const verdicts = judgeMemory(samples)
      const rows = verdicts.map(({ name, meanMib, slopeMibPerHour, growthMib, isFlat }) => [
        name,
        ...[meanMib, slopeMibPerHour, growthMib].map((value) => value.toFixed(1)),
        isFlat ? 'flat' : name === KEYS ? 'as it must' : 'RISES',
      ])
      const heads = ['memory after warm-up', 'mean MiB', 'MiB an hour', 'rose by MiB', 'verdict']
      const violations = verdicts
        .filter(({ name, isFlat }) => !isFlat && name !== KEYS)
        .map(({ name, growthMib }) => `${name} rose by ${growthMib.toFixed(1)} MiB after it was warm`)
      return { report: formatTable([heads, ...rows]), violations }
    },
  }
}

/** What keeps idempotency keys for a day grows for a day, whoever looks; so it is told apart, and not judged. */
const KEYS = 'redis: remembered keys'

async function storeMib({ redis }: Platform): Promise<Record<string, number>> {
  const client = redis.client()
  try {
    const used = Number(/^used_memory:(\d+)/m.exec(await client.info('memory'))?.[1])
    let count = 0
    let example: string | undefined
    let cursor = '0'
    do {
      const [next, keys] = await client.scan(cursor, 'MATCH', '*:idem:*', 'COUNT', SCAN_COUNT)
      count += keys.length
      example ??= keys[0]
      cursor = next
    } while (cursor !== '0')
    const each = example === undefined ? 0 : Number((await client.memory('USAGE', example)) ?? 0) + ENTRY_BYTES
    const remembered = (count * each) / MIB
    return { redis: used / MIB - remembered, [KEYS]: remembered }
  } finally {
    client.disconnect()
  }
}

// What a key costs in the table of keys that expire, beyond what MEMORY USAGE says of it: an entry of a hash table.
const ENTRY_BYTES = 40
