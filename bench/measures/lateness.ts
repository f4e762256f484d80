import { decideApply, parseManifest } from '@millrace/engine'
import { fullAddress, type NamedRow, readLedger, register, registryPartition } from '@millrace/streams'
import { eventually } from '@millrace/testkit'
import { BOTH, type Context, compare, type Measure, type Row } from '../measure.ts'
import { type Store, startApp, whenReady, withStore } from '../sides/millrace.ts'

/** What a tick may be late in one of a hundred cases. */
const BOUND_MS = 50
/** Several, so that no answer about one rule serves all schedules. */
const ZONES = ['UTC', 'America/Denver', 'Europe/Berlin', 'Asia/Kathmandu', 'Australia/Lord_Howe']

interface Load {
  readonly what: string
  readonly cron: string
  readonly schedules: number
  /** Nominal times of each schedule that are measured. */
  readonly times: number
}

/** What a ledger keeps when nobody says otherwise. */
const LEDGER_ROWS = 1000

/**
 * How late ticks are that fire together: by Redis's clock, from the nominal time to the script that enqueued the job. Their
 * ledgers are full, as they are after a thousand ticks, so those ticks are among them that make a ledger forget.
 */
export const lateness: Measure = {
  name: 'lateness',
  about: 'how late ticks fire, p99: 1,000 schedules each minute and 100 each second, against 50 ms',
  appendfsync: BOTH,
  async run(context) {
    const { size } = context
    const each = size(1, 0) === 1 ? '* * * * *' : '@every 5s'
    const loads: Load[] = [
      { what: 'schedules each minute', cron: each, schedules: size(1000, 20), times: size(3, 1) },
      { what: 'schedules each second', cron: '@every 1s', schedules: size(100, 5), times: size(60, 3) },
    ]
    const rows: Row[] = []
    for (const load of loads) rows.push(await measure(load, context))
    return rows
  },
}

function measure(load: Load, { appendfsync, say }: Context): Promise<Row> {
  return withStore(appendfsync, async (store) => {
    const { what, schedules, times } = load
    say(`filling ${schedules} ledgers`)
    await declare(store, load)
    const beginMs = Date.now()
    await fillLedgers(store, schedules, beginMs)
    const scheduler = await startApp(store, { name: 'scheduler' })
    await whenReady(scheduler)
    say(`watching ${schedules} ${what}`)
    await eventually(async () => (await rowsSince(store, schedules - 1, beginMs)).length > times, {
      timeoutMs: 600_000,
      intervalMs: 1000,
    })
    await scheduler.stop()
    const late: number[] = []
    for (let index = 0; index < schedules; index++) {
      // The first time is the one of a scheduler that has just come up, with its code still cold.
      for (const { row } of (await rowsSince(store, index, beginMs)).slice(0, -1))
        late.push((row.firedAtMs ?? 0) - row.atMs)
    }
    const sorted = late.sort((a, b) => a - b)
    const p99 = sorted[Math.ceil(sorted.length * 0.99) - 1] ?? Number.NaN
    const middle = sorted[Math.ceil(sorted.length / 2) - 1] ?? Number.NaN
    return compare({
      what: `${schedules} ${what}, ledgers full, lateness p99`,
      ours: { value: Math.max(1, p99), parts: { p50: middle, most: sorted.at(-1) ?? 0 } },
      peer: { value: BOUND_MS },
      peerName: 'the bound',
      unit: 'ms',
      target: { atMost: 1 },
    })
  })
}

const addressOf = (index: number) => fullAddress('bench', `schedule:s${index}`)

async function rowsSince({ partition }: Store, index: number, sinceMs: number): Promise<NamedRow[]> {
  const rows = await readLedger(partition, { address: addressOf(index), count: LEDGER_ROWS })
  return rows.filter(({ row }) => row.atMs >= sinceMs)
}

/** Rows of earlier minutes, as a scheduler leaves them. */
async function fillLedgers({ partition: { redis, keys } }: Store, schedules: number, beginMs: number): Promise<void> {
  for (let index = 0; index < schedules; index++) {
    const times: (string | number)[] = []
    const rows: string[] = []
    for (let ago = LEDGER_ROWS; ago > 0; ago--) {
      const atMs = beginMs - ago * 60_000
      const tickId = new Date(atMs).toISOString()
      const text = { atMs, kind: 'planned', tz: '2026b', tickId, state: 'fired', lateMs: 20, jobId: `0-${atMs}-0` }
      times.push(atMs, tickId)
      rows.push(tickId, JSON.stringify({ ...text, firedAtMs: atMs + 20, outcome: 'succeeded', endedAtMs: atMs + 60 }))
    }
    const address = addressOf(index)
    await Promise.all([redis.zadd(keys.ledger(address), ...times), redis.hset(keys.ledgerRows(address), ...rows)])
    // The number of the job that fires next is what says when a ledger forgets.
    await redis.hset(keys.counts(address), { accepted: LEDGER_ROWS, succeeded: LEDGER_ROWS })
  }
}

async function declare({ partition }: Store, { cron, schedules }: Load): Promise<void> {
  const declared = Array.from({ length: schedules }, (_, index) => ({
    ...{ name: `s${index}`, cron, timezone: ZONES[index % ZONES.length], endpoint: `/internal/cron/${index}` },
  }))
  const parsed = parseManifest({ metadata: { name: 'bench' }, spec: { schedules: declared } })
  if (parsed.kind === 'refused') throw new Error(JSON.stringify(parsed.mistakes))
  const at = new Date().toISOString()
  const applied = { declaration: parsed.declaration, url: 'http://127.0.0.1:9', who: 'bench', at }
  const { service } = decideApply(applied)
  await register(registryPartition(partition.redis), { service, expectedVersion: 0, event: {} })
}
