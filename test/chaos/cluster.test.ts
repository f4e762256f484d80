import { createPartitions } from '@millrace/streams'
import { expect, it } from 'vitest'
import { runFaults } from './chaos.ts'
import type { Platform } from './platform.ts'
import { SHORT_ON_SEVERAL } from './settings.ts'

/** `npm run chaos -- --redis cluster` draws others, and kills and stops our own processes as well. */
const SEED = 4

it('keeps every promise on a cluster that loses a primary, moves a slot and cuts off a node', {
  timeout: 300_000,
}, async () => {
  const lines: string[] = []
  const run = {
    ...SHORT_ON_SEVERAL,
    seed: SEED,
    redis: 'cluster',
    store: 'postgres',
    durationMs: 1,
    minFaults: 3,
  } as const
  let marked = 0
  const watch = async (platform: Platform) => {
    marked = Math.max(marked, await countMarks(platform))
  }
  const { report, violations } = await runFaults({ ...run, watch, say: (line) => lines.push(line) })
  expect(violations, `${lines.join('\n')}\n${report}`).toEqual([])
  expect(report).toMatch(/^primary kill +1/m)
  expect(report).toMatch(/^slot move +1/m)
  expect(report).toMatch(/^node cut +1/m)
  // Producers were told of nothing that a replica did not have.
  expect(marked).toBeGreaterThan(1)
})

/** In how many partitions something was confirmed by replicas. */
async function countMarks({ deployment }: Platform): Promise<number> {
  const connections = deployment.look()
  const { all } = createPartitions(connections.of, deployment.partitions)
  for (const { number } of all) connections.of(number)
  try {
    await connections.ready({ timeoutMs: 5000 })
    const marks = await Promise.all(all.map(({ redis, keys }) => redis.exists(keys.mark)))
    return marks.reduce((sum, mark) => sum + mark, 0)
  } catch {
    // A primary is dead just now, which is what the run is about.
    return 0
  } finally {
    connections.disconnect()
  }
}
