import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { METRICS_OF_APPS } from '@millrace/contracts'
import { ALERTS, DASHBOARDS, RECORDINGS } from '@millrace/monitoring'
import {
  type ChildHandle,
  eventually,
  type PrometheusServer,
  promtool,
  type Receiver,
  startPrometheus,
  startReceiver,
} from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse, stringify } from 'yaml'
import { findPlace, type Place, startUp } from '../e2e/platform.ts'
import { keepBusy, TRACE_ID } from './activity.ts'

const top = new URL('../../', import.meta.url)

let place: Place
let platform: ChildHandle
let receiver: Receiver
let prometheus: PrometheusServer
let activity: { stop(): Promise<void> }

beforeAll(async () => {
  place = await findPlace()
  ;[platform, receiver] = await Promise.all([startUp(place), startReceiver()])
  activity = await keepBusy(place, receiver)
  prometheus = await startPrometheus({ config: prometheusConfig(place) })
}, 90_000)
afterAll(async () => {
  await activity?.stop()
  await prometheus?.stop()
  await platform?.stop()
  await receiver?.stop()
  await place?.remove()
})

/** The configuration of docker-compose.yml, with other addresses, and looking every second instead of every five. */
function prometheusConfig({ urls }: Place): string {
  const config = parse(readFileSync(new URL('deploy/prometheus/prometheus.yml', top), 'utf8')) as {
    global: object
    rule_files: string[]
    scrape_configs: [{ static_configs: { targets: string[]; labels: { app: keyof typeof METRICS_OF_APPS } }[] }]
  }
  const static_configs = config.scrape_configs[0].static_configs.map(({ labels }) => ({
    labels,
    targets: [new URL(urls[labels.app]).host],
  }))
  return stringify({
    ...config,
    global: { ...config.global, scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: config.rule_files.map((path) =>
      path.replace('/etc/prometheus/', fileURLToPath(new URL('deploy/prometheus/', top))),
    ),
    scrape_configs: [{ ...config.scrape_configs[0], static_configs }],
  })
}

/** Polls until every expression has a value that is a number; what has none in the end is what the test fails with. */
async function expectData(expressions: readonly { what: string; expr: string }[]): Promise<void> {
  let left = expressions
  await eventually(
    async () => {
      const empty = await Promise.all(
        left.map(async ({ expr }) => (await prometheus.query(expr)).every(({ value }) => Number.isNaN(value))),
      )
      left = left.filter((_, index) => empty[index])
      return left.length === 0
    },
    { timeoutMs: 45_000 },
  ).catch(() => {})
  expect(left).toEqual([])
}

describe('a Prometheus that watches a running platform', () => {
  it('reaches every app, and takes their metrics as OpenMetrics', async () => {
    await eventually(async () => {
      const { activeTargets } = await prometheus.get<{
        activeTargets: { health: string; lastError: string; labels: { app: string; job: string } }[]
      }>('/api/v1/targets')
      expect(activeTargets.map(({ labels, health, lastError }) => ({ ...labels, health, lastError }))).toEqual(
        Object.keys(METRICS_OF_APPS).map((app) =>
          expect.objectContaining({ app, job: 'millrace', health: 'up', lastError: '' }),
        ),
      )
      return true
    })
  })

  it.each(Object.keys(METRICS_OF_APPS) as (keyof typeof METRICS_OF_APPS)[])(
    'finds nothing wrong with /metrics of %s, and neither does promtool',
    async (app) => {
      const text = await (await fetch(`${place.urls[app]}/metrics`)).text()
      const { code, output } = await promtool(['check', 'metrics'], { input: text })
      expect(output).toBe('')
      expect(code).toBe(0)
    },
  )

  it('has data for each panel of each dashboard', async () => {
    const panels = DASHBOARDS.flatMap(({ uid, rows }) =>
      rows
        .flatMap(({ panels }) => panels)
        .flatMap(({ title, targets }) =>
          targets.map(({ expr }) => ({ what: `${uid}: ${title}`, expr: withVariables(expr) })),
        ),
    )
    expect(panels.length).toBeGreaterThan(60)
    await expectData(panels)
  })

  it('has values for each choice of a dashboard', async () => {
    for (const { variables } of DASHBOARDS) {
      for (const { values } of variables) {
        const [, metric = '', label = ''] = /^label_values\((.*), (\w+)\)$/.exec(values) ?? []
        const match = encodeURIComponent(withVariables(metric))
        await eventually(
          async () => (await prometheus.get<string[]>(`/api/v1/label/${label}/values?match[]=${match}`)).length > 0,
        )
      }
    }
  })

  it('has data for what each recording rule and each alert looks at', async () => {
    const recordings = Object.values(RECORDINGS).map(({ record }) => ({ what: record, expr: record }))
    const alerts = ALERTS.flatMap(({ name, expr }) => selectorsIn(expr).map((one) => ({ what: name, expr: one })))
    expect(new Set(alerts.map(({ what }) => what)).size, 'each alert looks at something').toBe(ALERTS.length)
    await expectData([...recordings, ...alerts])
  })

  it('evaluates every rule without an error', async () => {
    const { groups } = await prometheus.get<{
      groups: { rules: { name: string; health: string; lastError?: string }[] }[]
    }>('/api/v1/rules')
    const rules = groups.flatMap((group) => group.rules)
    expect(rules).toHaveLength(ALERTS.length + Object.keys(RECORDINGS).length)
    expect(rules.filter(({ health }) => health !== 'ok')).toEqual([])
  })

  it('keeps the trace of a job beside its run time', async () => {
    await eventually(async () => {
      const range = `start=${Date.now() / 1000 - 300}&end=${Date.now() / 1000 + 10}`
      const found = await prometheus.get<{ exemplars: { labels: { trace_id: string } }[] }[]>(
        `/api/v1/query_exemplars?query=millrace_delivery_duration_seconds_bucket&${range}`,
      )
      const traces = found.flatMap(({ exemplars }) => exemplars.map(({ labels }) => labels.trace_id))
      expect(traces).toContain(TRACE_ID)
      return true
    })
  })
})

/** As Grafana fills them in when all is chosen. */
function withVariables(expr: string): string {
  return expr.replaceAll('$__rate_interval', '1m').replaceAll(/\$\w+/g, '.*')
}

/** The selectors of an expression, without the functions, comparisons and ranges around them. */
function selectorsIn(expr: string): string[] {
  return [...expr.matchAll(/\b(?:up|(?:millrace|http_server|namespace)[a-z0-9_:]+)\b(?:\{[^}]*\})?/g)]
    .map(([selector]) => selector)
    .filter((selector) => /[_:{]/.test(selector) && !/^namespace(_queue|_schedule)?$/.test(selector))
}
