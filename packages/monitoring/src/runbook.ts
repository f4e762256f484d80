import { ALERTS } from './alerts/all.ts'

/** The part of docs/operations.md that the alerts lead to: a heading each, by which it is found. */
export function runbook(): string {
  return ALERTS.map(({ name, severity, means, steps }) => {
    const list = steps.map((step, index) => `${index + 1}. ${step}`).join('\n')
    return `### ${name}\n\n${means} (${severity})\n\n${list}\n`
  }).join('\n')
}
