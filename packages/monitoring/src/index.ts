/**
 * What watches the metrics of the catalogue: alerts, recording rules and dashboards, as the files that Prometheus and Grafana
 * read. No app loads it; `npx node scripts/generate-docs.mjs` writes the files.
 *
 * ```ts
 * import { monitoringFiles } from '@millrace/monitoring'
 * for (const [path, text] of monitoringFiles()) console.log(path, text.length)
 * ```
 */
import { DASHBOARDS } from './dashboards/all.ts'
import { dashboardModel } from './grafana/model.ts'
import { alertRules, recordingRules } from './rules.ts'

export { type Alert, runbookOf } from './alerts/alert.ts'
export { ALERTS } from './alerts/all.ts'
export { DASHBOARDS } from './dashboards/all.ts'
export type { Dashboard, Panel } from './dashboards/dashboard.ts'
export { DATASOURCE } from './grafana/datasource.ts'
export { dashboardModel } from './grafana/model.ts'
export { RECORDINGS } from './recordings.ts'
export { alertRules, recordingRules } from './rules.ts'
export { runbook } from './runbook.ts'
export { usesOfMetrics } from './uses.ts'

/** Every file by its path from the top of the repository. */
export function monitoringFiles(): Map<string, string> {
  const dashboards = DASHBOARDS.map((dashboard): [string, string] => [
    `deploy/grafana/dashboards/${dashboard.uid}.json`,
    `${JSON.stringify(dashboardModel(dashboard), null, 2)}\n`,
  ])
  return new Map([
    ['deploy/prometheus/rules/recordings.yml', recordingRules()],
    ['deploy/prometheus/rules/alerts.yml', alertRules()],
    ...dashboards,
  ])
}
