import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promtool } from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse, stringify } from 'yaml'
import { ALERTS, alertRules, recordingRules, runbook, runbookOf } from '../src/index.ts'
import { ALERT_CASES, type Case } from './alert-cases.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-alerts-'))
  writeFileSync(join(folder, 'recordings.yml'), recordingRules())
  writeFileSync(join(folder, 'alerts.yml'), alertRules())
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('the rules', () => {
  it('are right in the eyes of promtool', async () => {
    const { code, output } = await promtool([
      'check',
      'rules',
      join(folder, 'recordings.yml'),
      join(folder, 'alerts.yml'),
    ])
    expect(output).toContain(`SUCCESS: ${ALERTS.length} rules found`)
    expect(code, output).toBe(0)
  })

  it('would be refused with an expression that is none', async () => {
    const wrong = join(folder, 'wrong.yml')
    writeFileSync(wrong, alertRules().replace('max by (', 'max by )'))
    expect(await promtool(['check', 'rules', wrong])).toMatchObject({ code: 1 })
  })
})

describe('each alert', () => {
  it('has a case in which it fires and one in which it does not', () => {
    expect(Object.keys(ALERT_CASES).sort()).toEqual(ALERTS.map(({ name }) => name).sort())
    expect(Object.entries(ALERT_CASES).filter(([, { silent }]) => silent.length === 0)).toEqual([])
  })

  it('says what to do next, and leads to a heading of the runbook', () => {
    const headings = [...runbook().matchAll(/^### (.+)$/gm)].map(([, name = '']) => name.toLowerCase())
    for (const alert of ALERTS) {
      expect(alert.description, alert.name).toMatch(/^[^{]{60,}$/)
      expect(alert.steps.length, alert.name).toBeGreaterThan(0)
      expect(headings).toContain(runbookOf(alert).split('#')[1])
    }
  })

  it('fires when it should, with a summary that names what is concerned', async () => {
    const tests = ALERTS.map((alert) => {
      const { labels, summary, ...one } = ALERT_CASES[alert.name]!.fires
      const exp_labels = { severity: alert.severity, ...labels }
      const exp_annotations = { summary, description: alert.description, runbook: runbookOf(alert) }
      return promtest(alert.name, one, [{ exp_labels, exp_annotations }])
    })
    expect(await runTests('fires.yml', tests)).toEqual({ code: 0, output: expect.stringContaining('SUCCESS') })
  })

  it('is silent otherwise', async () => {
    const tests = ALERTS.flatMap(({ name }) => ALERT_CASES[name]!.silent.map((one) => promtest(name, one, [])))
    expect(await runTests('silent.yml', tests)).toEqual({ code: 0, output: expect.stringContaining('SUCCESS') })
  })
})

function promtest(alertname: string, { series, at = '1h', every = 1 }: Case, exp_alerts: readonly object[]) {
  return {
    name: alertname,
    interval: `${every}m`,
    input_series: Object.entries(series).map(([one, values]) => ({ series: one, values })),
    alert_rule_test: [{ eval_time: at, alertname, exp_alerts }],
  }
}

function groupNames(rules: string): string[] {
  return (parse(rules) as { groups: { name: string }[] }).groups.map(({ name }) => name)
}

/** Rules are evaluated as often as the values of a test come, so each pace is a run of its own. */
async function runTests(file: string, tests: readonly ReturnType<typeof promtest>[]) {
  const paces = Map.groupBy(tests, ({ interval }) => interval)
  const results = await Promise.all([...paces].map(([pace, some]) => runPace(`${pace}-${file}`, pace, some)))
  return results.find(({ code }) => code !== 0) ?? results[0]
}

function runPace(
  file: string,
  pace: string,
  tests: readonly object[],
): Promise<{ code: number | null; output: string }> {
  const path = join(folder, file)
  const rule_files = ['recordings.yml', 'alerts.yml'].map((rules) => join(folder, rules))
  // As Prometheus does it over time: what is recorded is there when the alerts look.
  // Every group is named: one that is not counts as the first.
  const group_eval_order = [recordingRules(), alertRules()].flatMap(groupNames)
  writeFileSync(path, stringify({ rule_files, group_eval_order, evaluation_interval: pace, tests }))
  return promtool(['test', 'rules', path])
}
