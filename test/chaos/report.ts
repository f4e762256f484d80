import type { CheckName } from './checks.ts'
import type { FaultFigures } from './stalls.ts'

export interface RunFigures {
  readonly seed: number
  readonly minutes: number
  readonly store: string
  readonly redis: string
  readonly accepted: number
  readonly jobs: number
  readonly ticks: number
  readonly events: number
  readonly dead: number
  readonly lost: number
  readonly deliveries: number
  readonly duplicates: number
  readonly takenOver: number
  readonly retriedRequests: number
  readonly restMs: number
}

/** The tables that a run ends with. */
export function formatReport(
  figures: RunFigures,
  faults: readonly FaultFigures[],
  verdicts: ReadonlyMap<CheckName, readonly string[]>,
): string {
  const rows = faults
    .toSorted((a, b) => a.fault.localeCompare(b.fault))
    .map(({ fault, times, stallMs: { push, pull, ticks, audit } }) => [
      fault,
      String(times),
      ...[push, pull, ticks, audit].map((ms) => (ms / 1000).toFixed(1)),
    ])
  const summary = [
    ['jobs in the log', figures.jobs],
    ['jobs that producers were told of', figures.accepted],
    ['of them lost', figures.lost],
    ['ticks', figures.ticks],
    ['events published', figures.events],
    ['dead letters', figures.dead],
    ['deliveries', figures.deliveries],
    ['duplicate deliveries', figures.duplicates],
    ['takeovers', figures.takenOver],
    ['requests sent again', figures.retriedRequests],
    ['seconds to rest afterwards', (figures.restMs / 1000).toFixed(1)],
  ].map((row) => row.map(String))
  const checks = [...verdicts].map(([name, violations]) => [name, violations.length === 0 ? 'holds' : 'VIOLATED'])
  return [
    `seed ${figures.seed}, ${figures.minutes.toFixed(1)} minutes of faults, store ${figures.store}, Redis ${figures.redis}`,
    formatTable([['fault', 'times', 'push', 'pull', 'ticks', 'audit'], ...rows], 'longest stall of each in seconds'),
    formatTable(summary),
    formatTable(checks),
    ...[...verdicts].flatMap(([name, violations]) =>
      violations.slice(0, 5).map((violation) => `${name}: ${violation}`),
    ),
  ].join('\n\n')
}

/** Columns as wide as what stands in them; the first to the left, the others to the right. */
export function formatTable(rows: readonly (readonly string[])[], title?: string): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)))
  const lines = rows.map((row) =>
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[0] as number) : cell.padStart(widths[column] as number),
      )
      .join('  ')
      .trimEnd(),
  )
  return [...(title === undefined ? [] : [`${title}:`]), ...lines].join('\n')
}
