import { type Loop, startLoop } from '@millrace/runtime'
import { fileRows, type Partition } from '@millrace/streams'

/** After a scheduler that died between firing and filing, so long the row may wait; who looks into its ledger finds it there. */
const SWEEP_MS = 30_000

/** Files the rows of ticks into their ledgers once the ticks have fired. Poked when some have. */
export function startFiler(
  partition: Partition,
  { keep, onError }: { keep: number; onError(error: unknown): void },
): Loop {
  return startLoop({
    name: `filer-${partition.number}`,
    intervalMs: SWEEP_MS,
    onError,
    run: async () => ((await fileRows(partition, { keep })) > 0 ? 0 : undefined),
  })
}
