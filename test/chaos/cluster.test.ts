import { expect, it } from 'vitest'
import { runFaults } from './chaos.ts'
import { SHORT_ON_SEVERAL } from './settings.ts'

/** `npm run chaos -- --redis cluster` draws others, and kills and stops our own processes as well. */
const SEED = 4

it('keeps every promise on a cluster that loses a primary and moves a slot', { timeout: 300_000 }, async () => {
  const lines: string[] = []
  const run = {
    ...SHORT_ON_SEVERAL,
    seed: SEED,
    redis: 'cluster',
    store: 'postgres',
    durationMs: 1,
    minFaults: 2,
  } as const
  const { report, violations } = await runFaults({ ...run, say: (line) => lines.push(line) })
  expect(violations, `${lines.join('\n')}\n${report}`).toEqual([])
  expect(report).toMatch(/^primary kill +1/m)
  expect(report).toMatch(/^slot move +1/m)
})
