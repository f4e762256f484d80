import { describe, expect, it } from 'vitest'
import { createExportVerifier, type ExportedRecord, type ExportLine } from '../../src/audit.ts'
import { createTrail, linesOf } from './fixture.ts'

/** Two orders of three events, in turns; one payload erased. */
function trail() {
  const made = createTrail()
  for (let n = 0; n < 6; n++) {
    const entityId = `order-${n % 2}`
    made.add({ namespace: 'shop', entityId, eventType: 'order.changed', data: `{"step":${n}}` })
  }
  made.erase(made.records.slice(2, 4))
  return made
}

function verify(lines: readonly (ExportLine | string)[]) {
  const verifier = createExportVerifier()
  for (const line of lines) verifier.add(typeof line === 'string' ? line : JSON.stringify(line))
  return verifier.finish()
}

const isRecord = (line: ExportLine): line is ExportedRecord => 'record' in line
/** The lines with the nth record changed. */
function change(n: number, to: (line: ExportedRecord) => Partial<ExportedRecord>): ExportLine[] {
  const lines = linesOf(trail())
  const index = lines.indexOf(lines.filter(isRecord)[n] as ExportLine)
  return lines.with(index, { ...lines[index], ...to(lines[index] as ExportedRecord) } as ExportLine)
}

describe('an export', () => {
  it('is intact with nothing but its lines, also where payloads were erased', () => {
    expect(verify(linesOf(trail()))).toEqual({ verdict: 'intact', records: 7, chains: 3, erased: 2, faults: [] })
  })

  it.each([
    ['a record', change(2, ({ record }) => ({ record: record.replace('"ada"', '"eve"') })), 'record', 1],
    ['a payload', change(1, () => ({ data: '{"step":9}' })), 'payload', 0],
    ['a payload that is gone', change(1, () => ({ data: null, salt: null })), 'payload', 0],
    ['a payload with its salt kept', change(1, () => ({ data: null })), 'payload', 0],
    [
      'one that another erasure did not name',
      change(1, (line) => ({ ...line, data: null, salt: null, erasedBy: erasure() })),
      'payload',
      0,
    ],
    ['a hash', change(3, () => ({ eventHash: 'f'.repeat(64) })), 'record', 2],
  ] as const)('shows that somebody changed %s', (_what, lines, level, at) => {
    const finding = verify(lines)
    expect(finding.verdict).toBe('tampered')
    expect(finding.faults[0]).toMatchObject({ verdict: 'tampered', level, at, namespace: 'shop' })
  })

  it('shows each record that was taken out, wherever it stood', () => {
    const lines = linesOf(trail())
    for (const line of lines.filter(isRecord)) {
      const without = lines.filter((each) => each !== line)
      expect(verify([...without.slice(0, -1), { end: { records: 6 } }]).verdict).toBe('tampered')
    }
  })

  it('shows two records in each other’s places, and one that stands there twice', () => {
    const lines = linesOf(trail())
    const [first, second] = [3, 4]
    expect(verify(lines.with(first, lines[second]!).with(second, lines[first]!)).verdict).toBe('tampered')
    expect(verify(lines.toSpliced(first, 0, lines[first]!)).verdict).toBe('tampered')
  })

  it('shows by the numbers of the partition that a whole chain was taken out with its head', () => {
    const lines = linesOf(trail())
    const without = lines.filter((line) => !JSON.stringify(line).includes('order-1'))
    const finding = verify([...without.slice(0, -1), { end: { records: 4 } }])
    expect(finding.faults).toEqual([
      { verdict: 'tampered', level: 'trail', at: 1, reason: 'Record 1 of partition 0 is missing.' },
    ])
  })

  it('shows a chain of which only the head is left, and one whose head is gone', () => {
    const lines = linesOf(trail())
    const bare = lines.filter((line) => !(isRecord(line) && line.record.includes('order-1')))
    expect(verify(bare).faults).toContainEqual(expect.objectContaining({ level: 'head', entityId: 'order-1', at: 0 }))
    const headless = lines.map((line) =>
      'head' in line && line.head.entityId === 'order-0' ? { head: { ...line.head, length: null, hash: null } } : line,
    )
    expect(verify(headless).faults).toMatchObject([{ level: 'head', entityId: 'order-0', at: 3 }])
  })

  it('is unverifiable where it was cut off, or an erasure is not in it, and says so', () => {
    const lines = linesOf(trail())
    expect(verify(lines.slice(0, 4))).toMatchObject({
      verdict: 'unverifiable',
      faults: [{ level: 'export', reason: 'The export has no last line: it was cut off.' }],
    })
    const [opening, ...rest] = lines as [Extract<ExportLine, { export: unknown }>, ...ExportLine[]]
    const { trails: _all, ...some } = opening.export
    const withoutErasure = [{ export: some }, ...rest.slice(2, -1), { end: { records: 6 } }]
    expect(verify(withoutErasure)).toMatchObject({
      verdict: 'unverifiable',
      faults: [
        {
          level: 'payload',
          entityId: 'order-0',
          at: 1,
          reason: expect.stringContaining('there is no such record here'),
        },
        { level: 'payload', entityId: 'order-1', at: 1 },
      ],
    })
    expect(verify(rest)).toMatchObject({ verdict: 'unverifiable' })
  })

  it('of some records only still shows which of them were changed', () => {
    const made = trail()
    const opening = { format: 1, at: '', filter: { who: 'ada' }, chains: 'parts' } as const
    const some = linesOf(made).filter(isRecord).slice(0, 4)
    const around = (records: readonly ExportedRecord[]) => [{ export: opening }, ...records, { end: { records: 4 } }]
    expect(verify(around(some))).toMatchObject({ verdict: 'intact', records: 4, erased: 1 })
    const changed = some.with(1, { ...some[1]!, data: '{}' })
    expect(verify(around(changed)).faults).toMatchObject([{ verdict: 'tampered', level: 'payload', at: 0 }])
  })

  it.each([
    ['a line that is no JSON', 'nonsense'],
    ['a line of something else', '{"a":1}'],
    ['a record whose text is no JSON', '{"record":"x","eventHash":"","salt":null,"data":null}'],
  ])('is tampered with by %s', (_what, line) => {
    expect(verify([...linesOf(trail()).slice(0, 3), line]).verdict).toBe('tampered')
  })

  it('has nothing behind its last line', () => {
    const lines = linesOf(trail())
    expect(verify([...lines, lines[1]!]).verdict).toBe('tampered')
  })
})

function erasure(): string {
  return trail().records.at(-1)?.eventId ?? ''
}
