import { ALERTS } from './alerts/all.ts'
import { DASHBOARDS } from './dashboards/all.ts'
import { metricsIn } from './expression.ts'
import { RECORDINGS } from './recordings.ts'

/** Where each metric is watched: dashboards by title, alerts by name. */
export function usesOfMetrics(): Map<string, string[]> {
  const uses = new Map<string, string[]>()
  const note = (expr: string, where: string) => {
    for (const name of namesIn(expr)) {
      const known = uses.get(name) ?? []
      if (!known.includes(where)) uses.set(name, [...known, where])
    }
  }
  for (const { uid, rows } of DASHBOARDS)
    for (const { targets } of rows.flatMap(({ panels }) => panels)) for (const { expr } of targets) note(expr, uid)
  for (const { name, expr } of ALERTS) note(expr, name)
  return uses
}

/** With what the recording rules in it read. */
function namesIn(expr: string): string[] {
  const recordings = Object.values(RECORDINGS).filter(({ record }) => expr.includes(record))
  return [...metricsIn(expr), ...recordings.flatMap((recording) => metricsIn(recording.expr))]
}
