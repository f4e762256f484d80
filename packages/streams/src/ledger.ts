import type { Partition } from './partition.ts'
import { fileRowOf } from './scripts/file_rows.ts'

/** What became of a nominal time, or of a stretch of them, as the scripts keep it. */
export interface LedgerRow {
  readonly atMs: number
  readonly kind: 'planned' | 'manual' | 'backfill'
  readonly state: 'fired' | 'late' | 'skipped' | 'missed'
  readonly reason?: 'overlap' | 'window' | 'paused' | 'gap' | 'take' | 'changed'
  readonly lateMs?: number
  /** The end of a stretch, and how many nominal times it has. */
  readonly toMs?: number
  readonly count?: number
  /** Of a gap: the first and the last wall-clock time that were left out. */
  readonly fromLocal?: string
  readonly toLocal?: string
  readonly tickId?: string
  readonly jobId?: string
  readonly firedAtMs?: number
  /** How the run ended; nothing while it goes on. */
  readonly outcome?: 'succeeded' | 'dead' | 'cancelled'
  readonly endedAtMs?: number
  /** Tokens charged for it. */
  readonly gas?: number
  readonly who?: string
  readonly why?: string
  /** The time-zone database that it was computed with. */
  readonly tz?: string
}

export interface NamedRow {
  /** Unique in its ledger. */
  readonly name: string
  readonly row: LedgerRow
}

/** Rows of a schedule's ledger, the latest nominal time first, after a row that was read before. */
export async function readLedger(
  partition: Partition,
  { address, after, count }: { address: string; after?: { atMs: number; name: string }; count: number },
): Promise<NamedRow[]> {
  const { redis, keys } = partition
  await fileFresh(partition, address)
  const from = after ? after.atMs : '+inf'
  const pairs = await redis.zrevrangebyscore(keys.ledger(address), from, '-inf', 'WITHSCORES', 'LIMIT', 0, count + 1)
  const names: string[] = []
  for (let at = 0; at < pairs.length; at += 2) {
    const [name, atMs] = [pairs[at] as string, Number(pairs[at + 1])]
    if (after && atMs === after.atMs && name >= after.name) continue
    names.push(name)
  }
  if (names.length === 0) return []
  const texts = await redis.hmget(keys.ledgerRows(address), ...names)
  return names.flatMap((name, index) => {
    const text = texts[index]
    return text ? [{ name, row: JSON.parse(text) as LedgerRow }] : []
  })
}

/** The rows with these names, undefined where there is none. */
export async function readRows(
  partition: Partition,
  { address, names }: { address: string; names: readonly string[] },
): Promise<(LedgerRow | undefined)[]> {
  if (names.length === 0) return []
  const { redis, keys } = partition
  await fileFresh(partition, address)
  const texts = await redis.hmget(keys.ledgerRows(address), ...names)
  return texts.map((text) => (text ? (JSON.parse(text) as LedgerRow) : undefined))
}

/** When a run of each schedule of the partition last succeeded, ms, by address. */
export async function readLastSuccesses({ redis, keys }: Partition): Promise<Map<string, number>> {
  const entries = Object.entries(await redis.hgetall(keys.lastSuccess))
  return new Map(entries.map(([address, ms]) => [address, Number(ms)]))
}

/** A look first: reading does not take a server that takes writes, but for the moments in which there is a row to file. */
async function fileFresh(partition: Partition, address: string): Promise<void> {
  const { redis, keys } = partition
  if ((await redis.hexists(keys.ledgerFresh, address)) === 1) await fileRowOf(partition, address)
}
