import { type Finding, fail, skipped, unless } from './finding.ts'

const TIMEOUT_MS = 5000
const APPS = ['dispatcher', 'scheduler', 'audit']

/** Whether a Prometheus sees all apps and has the alerts. */
export async function checkPrometheus(url: string | undefined): Promise<Finding[]> {
  const fix = 'docs/operations.md, "What to watch": the scrape job millrace, and deploy/prometheus/rules.'
  if (url === undefined) return [skipped('prometheus', 'was not asked', 'Name it: --prometheus http://…:9090.')]
  try {
    const { activeTargets } = await get<{ activeTargets: Target[] }>(url, '/api/v1/targets?state=active')
    const up = new Set(activeTargets.filter(({ health }) => health === 'up').map(({ labels }) => labels.app))
    const missing = APPS.filter((app) => !up.has(app))
    const { groups } = await get<{ groups: { rules: { name: string }[] }[] }>(url, '/api/v1/rules?type=alert')
    const alerts = groups.flatMap(({ rules }) => rules).filter(({ name }) => name.startsWith('Millrace')).length
    return [
      unless(
        'prometheus.targets',
        'sees all apps',
        missing.length > 0 && fail('prometheus.targets', `does not see ${missing.join(', ')}`, fix),
      ),
      unless(
        'prometheus.alerts',
        `${alerts} alerts`,
        alerts === 0 && fail('prometheus.alerts', 'has none of our alerts', fix),
      ),
    ]
  } catch (error) {
    const reason = (error as { cause?: NodeJS.ErrnoException }).cause?.code ?? (error as Error).message
    return [fail('prometheus', `${url} does not answer (${reason})`, 'Start it, or correct --prometheus.')]
  }
}

interface Target {
  readonly health: string
  readonly labels: { readonly app?: string }
}

async function get<Data>(url: string, path: string): Promise<Data> {
  const answer = await fetch(new URL(path, url), { signal: AbortSignal.timeout(TIMEOUT_MS) })
  if (!answer.ok) throw new Error(`HTTP ${answer.status}`)
  return ((await answer.json()) as { data: Data }).data
}
