import { stringify } from 'yaml'
import { type Alert, runbookOf } from './alerts/alert.ts'
import { ALERT_GROUPS } from './alerts/all.ts'
import { RECORDINGS } from './recordings.ts'

/** `deploy/prometheus/rules/recordings.yml`. */
export function recordingRules(): string {
  const rules = Object.values(RECORDINGS).map(({ record, expr }) => ({ record, expr }))
  return toYaml([{ name: 'millrace-recordings', rules }])
}

/** `deploy/prometheus/rules/alerts.yml`. */
export function alertRules(): string {
  const groups = Object.entries(ALERT_GROUPS).map(([name, alerts]) => ({
    name: `millrace-${name}`,
    rules: alerts.map(toRule),
  }))
  return toYaml(groups)
}

function toRule(alert: Alert) {
  const { name, expr, severity, summary, description } = alert
  return {
    alert: name,
    expr,
    ...(alert.for && { for: alert.for }),
    labels: { severity },
    annotations: { summary, description, runbook: runbookOf(alert) },
  }
}

function toYaml(groups: readonly object[]): string {
  return stringify({ groups }, { lineWidth: 0 })
}
