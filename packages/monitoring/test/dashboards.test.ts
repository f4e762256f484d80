import { readFileSync } from 'node:fs'
import { labelNamesOf, METRICS } from '@millrace/contracts'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { DASHBOARDS, dashboardModel, monitoringFiles, usesOfMetrics } from '../src/index.ts'

interface PanelModel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly description?: string
  readonly datasource?: object
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly targets?: readonly { refId: string; expr: string; datasource: object; legendFormat: string }[]
}

interface Model {
  readonly uid: string
  readonly title: string
  readonly schemaVersion: number
  readonly id?: unknown
  readonly __inputs?: unknown
  readonly panels: readonly PanelModel[]
  readonly templating: { readonly list: readonly { name: string; datasource: object; query: string }[] }
}

const top = new URL('../../../', import.meta.url)
const yaml = (path: string) => parse(readFileSync(new URL(path, top), 'utf8'))
const provisioned = yaml('deploy/grafana/provisioning/datasources/prometheus.yml').datasources[0] as {
  uid: string
  type: string
}

/** As Grafana reads them: from the files. */
const models = DASHBOARDS.map(({ uid }): Model => {
  const path = `deploy/grafana/dashboards/${uid}.json`
  return JSON.parse(readFileSync(new URL(path, top), 'utf8'))
})
const panelsOf = ({ panels }: Model) => panels.filter(({ type }) => type !== 'row')

describe('the dashboards', () => {
  it('are five, each under an address that stays', () => {
    expect(models.map(({ uid }) => uid)).toEqual(
      ['overview', 'queue', 'schedules', 'subscriptions', 'audit'].map((name) => `millrace-${name}`),
    )
    expect([...monitoringFiles().keys()].filter((path) => path.endsWith('.json'))).toHaveLength(5)
  })

  it('lie where Compose mounts what the provider of Grafana reads', () => {
    const { providers } = yaml('deploy/grafana/provisioning/dashboards/millrace.yml') as {
      providers: { type: string; options: { path: string } }[]
    }
    const { grafana } = yaml('docker-compose.yml').services as { grafana: { volumes: string[] } }
    expect(providers.map(({ options }) => `./deploy/grafana/dashboards:${options.path}:ro`)).toEqual([
      expect.toBeOneOf(grafana.volumes),
    ])
  })

  it('show every metric of the catalogue, or an alert watches it', () => {
    const uses = usesOfMetrics()
    expect(METRICS.map(({ name }) => name).filter((name) => !uses.has(name))).toEqual([])
  })
})

describe.each(models.map((model) => [model.uid, model] as const))('%s', (_uid, model) => {
  it('has an address and a title that Grafana takes, and that no other has', () => {
    // Its limits; of two with one uid, or with one title in a folder, the provisioner loads neither.
    expect(model.uid).toMatch(/^[a-zA-Z0-9_-]{1,40}$/)
    expect(models.filter(({ uid, title }) => uid === model.uid || title === model.title)).toHaveLength(1)
    expect(model).not.toHaveProperty('dashboard')
    // Panels that are in Grafana itself: no plugin has to be installed.
    const types = panelsOf(model).map(({ type }) => type)
    expect(
      types.filter((type) => !['timeseries', 'stat', 'table', 'barchart', 'heatmap', 'gauge'].includes(type)),
    ).toEqual([])
  })

  it('loads without an edit: no id of another Grafana, no input to fill in, a datasource that is provisioned', () => {
    expect(model.id ?? null).toBeNull()
    expect(model.__inputs).toBeUndefined()
    expect(model.schemaVersion).toBeGreaterThanOrEqual(36)
    const { uid, type } = provisioned
    const sources = [
      ...panelsOf(model).flatMap(({ datasource, targets = [] }) => [
        datasource,
        ...targets.map((one) => one.datasource),
      ]),
      ...model.templating.list.map(({ datasource }) => datasource),
    ]
    expect(sources.length).toBeGreaterThan(0)
    for (const source of sources) expect(source).toEqual({ type, uid })
  })

  it('tells its panels apart, and says of each what it shows', () => {
    const ids = model.panels.map(({ id }) => id)
    expect(new Set(ids).size).toBe(ids.length)
    expect(Math.min(...ids)).toBeGreaterThan(0)
    const titles = model.panels.map(({ title }) => title)
    expect(new Set(titles).size).toBe(titles.length)
    for (const { title, description = '', targets = [] } of panelsOf(model)) {
      expect(description.length, title).toBeGreaterThan(10)
      expect(targets.length, title).toBeGreaterThan(0)
      expect(new Set(targets.map(({ refId }) => refId)).size, title).toBe(targets.length)
    }
  })

  it('puts no panel on another, and none over the edge', () => {
    const cells = model.panels.flatMap(({ gridPos: { x, y, w, h } }) => {
      expect(x + w).toBeLessThanOrEqual(24)
      return Array.from({ length: w * h }, (_, index) => `${x + (index % w)},${y + Math.floor(index / w)}`)
    })
    expect(cells.length).toBeGreaterThan(0)
    expect(new Set(cells).size).toBe(cells.length)
  })

  it('uses each of its variables, and no other', () => {
    const text = JSON.stringify(model.panels) + JSON.stringify(model.templating.list.map(({ query }) => query))
    const used = new Set(
      [...text.matchAll(/\$(\w+)/g)].map(([, name = '']) => name).filter((name) => !name.startsWith('__')),
    )
    expect([...used].sort()).toEqual(model.templating.list.map(({ name }) => name).sort())
  })

  it('writes only labels into its legends that the expression leaves', () => {
    const known = new Set(METRICS.flatMap(labelNamesOf).concat('app', 'instance', 'partition'))
    for (const { title, targets = [] } of panelsOf(model))
      for (const { legendFormat, expr } of targets)
        for (const [, label = ''] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) {
          expect(known, `${title}: ${label}`).toContain(label)
          expect(expr.includes(label) || !/\bby \(/.test(expr), `${title}: ${label} in ${expr}`).toBe(true)
        }
  })

  it('is what the code makes', () => {
    const dashboard = DASHBOARDS.find(({ uid }) => uid === model.uid)!
    expect(JSON.parse(JSON.stringify(dashboardModel(dashboard)))).toEqual(model)
  })
})
