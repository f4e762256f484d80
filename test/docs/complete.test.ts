import {
  BACKFILL_EVENTS,
  ENDPOINT_EVENTS,
  GAS_EVENTS,
  JOB_EVENTS,
  JOB_METRICS,
  KEY_EVENTS,
  QUEUE_EVENTS,
  REDRIVE_EVENTS,
  SCHEDULE_EVENTS,
  SECRET_EVENTS,
  SERVICE_EVENTS,
  SUBSCRIPTION_EVENTS,
  TRAIL_EVENTS,
} from '@millrace/contracts'
import { describe, expect, it } from 'vitest'
import { readFiles } from '../tidy/repository.ts'
import { readPage, tableRows } from './pages.ts'

describe('the documentation leaves out', () => {
  it('no variable that a config.ts reads', () => {
    const names = readFiles('**/src/config.ts').flatMap(({ text }) => [
      ...captures(text, /^\s+\b([A-Z][A-Z0-9_]{2,}):/gm),
      ...captures(text, /\benv\.([A-Z][A-Z0-9_]+)/g),
    ])
    expect(names).toEqual(expect.arrayContaining(['REDIS_URL', 'MILLRACE_LOG_KEEP', 'LOCKFILE']))
    expect(missingIn('docs/operations.md', names)).toEqual([])
  })

  it('no event of the log', () => {
    const lists = [
      BACKFILL_EVENTS,
      GAS_EVENTS,
      JOB_EVENTS,
      SCHEDULE_EVENTS,
      SECRET_EVENTS,
      SERVICE_EVENTS,
      KEY_EVENTS,
      QUEUE_EVENTS,
      REDRIVE_EVENTS,
      SUBSCRIPTION_EVENTS,
      ENDPOINT_EVENTS,
      TRAIL_EVENTS,
    ]
    // What stands under no list of the contracts, because an app emits it as a service would.
    const emitted = readFiles('apps/*/src/**/*.ts').flatMap(({ text }) =>
      captures(text, /kind: 'audit', type: '([a-z_.]+)'/g),
    )
    expect(emitted).toEqual(['read_models.rebuild_started'])
    const events = [...lists.flatMap((all) => Object.values(all)), ...emitted]
    expect(missingIn('docs/events.md', events)).toEqual([])
  })

  it('no event of the log files', () => {
    const names = readFiles('{apps,packages}/*/src/**/*.ts').flatMap(({ text }) => [
      ...captures(text, /\bevent: '([a-z_.]+)'/g),
      ...captures(text, /\bonError\('([a-z_.]+)'\)/g),
    ])
    expect(names).toEqual(expect.arrayContaining(['lease.lost', 'join.failed']))
    expect(missingIn('docs/logging.md', names)).toEqual([])
  })

  it('nothing of the log files that is no more: each event on the page is in the code, its variable part aside', () => {
    const code = readFiles('{apps,packages}/*/src/**/*.ts')
      .map(({ text }) => text)
      .join('\n')
    // An event whose name has a variable part: `job.${kind}`.
    const prefixes = [...new Set(captures(code, /\bevent: `([a-z_.]+\.)\$\{/g))]
    expect(prefixes).toEqual(expect.arrayContaining(['job.', 'recorder.']))
    const listed = captures(readPage('docs/logging.md'), /^\| ((?:`[a-z_.]+`(?:, )?)+) \|/gm).flatMap((names) =>
      captures(names, /`([a-z_.]+)`/g),
    )
    expect(listed).toContain('lease.lost')
    const known = (name: string) => code.includes(`'${name}'`) || prefixes.some((prefix) => name.startsWith(prefix))
    expect(listed.filter((name) => !known(name))).toEqual([])
    // Of these the code knows the words of the variable part, and the page has to have each.
    const { late: _late, lost: _lost, ...settled } = JOB_METRICS.attempts.labels.outcome
    const ends = Object.keys({ ...settled, ...JOB_METRICS.finished.labels.outcome }).map((word) => `job.${word}`)
    const variable = [...ends, ...Object.values(ENDPOINT_EVENTS)].toSorted()
    const isVariable = (name: string) => /^(job|breaker)\./.test(name) && !code.includes(`event: '${name}'`)
    expect([...new Set(listed.filter(isVariable))].toSorted()).toEqual(variable)
  })

  it('no dependency of what runs in production, and names none that is gone', () => {
    const manifests = readFiles('{apps,packages}/*/package.json').filter(({ path }) => !path.includes('testkit'))
    const names = manifests.flatMap(({ text }) =>
      Object.keys((JSON.parse(text) as { dependencies?: Record<string, string> }).dependencies ?? {}),
    )
    const listed = tableRows(readPage('docs/dependencies.md'), '| package | for | instead of |').flatMap(
      ([cell = '']) => captures(cell, /`([^`]+)`/g),
    )
    const others = names.filter((name) => !name.startsWith('@millrace/'))
    expect([...new Set(others)].sort()).toEqual(listed.sort())
  })

  it('no decision', () => {
    const pages = readFiles('docs/decisions/0*.md').map(({ path }) => path.slice('docs/decisions/'.length))
    expect(pages.filter((page) => !readPage('docs/decisions/README.md').includes(`(${page})`))).toEqual([])
  })
})

function captures(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map((match) => match[1] as string)
}

function missingIn(path: string, names: readonly string[]): string[] {
  const page = readPage(path)
  return [...new Set(names)].filter((name) => !page.includes(`\`${name}\``))
}
