import { describe, expect, it } from 'vitest'
import { decideApply, parseManifest } from '../src/index.ts'

const manifest = `metadata: {name: my-service}
spec:
  schedules:
    - {name: nightly-sync, cron: "0 2 * * *", endpoint: /internal/cron/nightly-sync}
  queues:
    - {name: sync-record, endpoint: /internal/jobs/sync-record}
    - {name: process-claim, endpoint: /internal/jobs/process-claim}
`
const accept = (source: string) => {
  const parsed = parseManifest(source)
  if (parsed.kind === 'refused') throw new Error(JSON.stringify(parsed.mistakes))
  return parsed
}

describe('applying', () => {
  const input = { url: 'http://x', who: 'ada', at: '2026-01-01T00:00:00.000Z' }
  const first = decideApply({ ...input, declaration: accept(manifest).declaration }).service

  it('the same again changes nothing, not even the version', () => {
    const again = decideApply({
      ...input,
      at: '2027-01-01T00:00:00.000Z',
      who: 'bob',
      current: first,
      declaration: accept(manifest).declaration,
    })
    expect(again).toEqual({ kind: 'unchanged', service: first })
  })

  it('a change raises the version, and a queue no longer declared is kept to be drained', () => {
    const fewer = accept(manifest.replace(/.*process-claim.*\n/, '')).declaration
    const changed = decideApply({ ...input, current: first, declaration: fewer })
    expect(changed).toMatchObject({ kind: 'changed', service: { version: 2, closing: [{ name: 'process-claim' }] } })
    const back = decideApply({ ...input, current: changed.service, declaration: accept(manifest).declaration })
    expect(back.service.closing).toEqual([])
  })
})
