import { parsePosition, partitionLabel } from '@millrace/contracts'
import { type Clock, type Loop, startLoop } from '@millrace/runtime'
import { type LogReader, readLogRange } from '@millrace/streams'
import type { AuditMetrics } from '../metrics.ts'
import type { Trail } from '../store/trail.ts'

const SAMPLE_EVERY_MS = 2000

/** Keep the lag gauges: how many entries are not recorded yet, and how long the oldest of them has waited. */
export function startLagSampler({
  readers,
  trail,
  metrics,
  clock,
}: {
  readers: readonly LogReader[]
  trail: Trail
  metrics: AuditMetrics
  clock: Clock
}): Loop {
  const sample = async (reader: LogReader) => {
    const partition = partitionLabel(reader.partition.number)
    const cursor = await trail.readCursor(reader.partition.number)
    const [oldest] = await readLogRange(reader.partition, { from: `(${cursor.position}`, count: 1 })
    const { entries } = oldest ? await reader.lag(cursor.entriesRead) : { entries: 0 }
    metrics.lagEntries.set({ partition }, oldest ? Math.max(1, entries) : 0)
    const waitedMs = oldest ? clock.now() - parsePosition(oldest.position).ms : 0
    metrics.lagSeconds.set({ partition }, Math.max(0, waitedMs) / 1000)
  }
  return startLoop({
    name: 'audit-lag',
    intervalMs: SAMPLE_EVERY_MS,
    run: async () => {
      await Promise.all(readers.map(sample))
      return undefined
    },
    // The recorder meets the same error and reports it; the gauges keep their last value.
    onError: () => undefined,
  })
}
