import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildRecord, createExportVerifier, hashData, type RecordInput } from '@millrace/engine'
import { afterAll, describe, expect, it } from 'vitest'
import { blockOf, readPage } from './pages.ts'

const page = readPage('docs/audit-format.md')
const STRANGER = fileURLToPath(new URL('stranger.mjs', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'millrace-format-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

interface Vector {
  readonly members: Omit<RecordInput, 'salt' | 'data'>
  readonly salt: string
  readonly data: string
  readonly dataHash: string
  readonly eventId: string
  readonly record: string
  readonly eventHash: string
}

describe('docs/audit-format.md', () => {
  const vectors = JSON.parse(blockOf(page, 'vectors').text) as Vector[]

  it.each(vectors.map((vector) => [vector.members.eventType, vector] as const))(
    'has what a recorder makes of %s',
    (_type, vector) => {
      const { members, salt, data, dataHash, eventId, record, eventHash } = vector
      expect(buildRecord({ ...members, salt, data })).toMatchObject({ record, eventHash, eventId })
      expect(hashData(salt, data)).toBe(dataHash)
    },
  )

  it('lists every member of a record', () => {
    const listed = [...page.matchAll(/^\| (?:\w+)? ?\| (`.*?) \| /gm)].flatMap(([, cell]) => (cell ?? '').match(/\w+/g))
    expect(new Set(listed)).toEqual(new Set([...Object.keys(JSON.parse(vectors[0]?.record ?? '{}'))]))
  })
})

describe('an export, to who has only read the page', () => {
  const lines = blockOf(page, 'export').text.trimEnd().split('\n')

  it('is intact', () => {
    expect(verdicts(lines)).toEqual(['intact', 'intact'])
  })

  const spoilt: [string, string[]][] = [
    ['a payload', lines.map((line) => line.replace('4200', '4201'))],
    [
      'a name',
      lines.map((line) =>
        line.replace('\\"who\\":\\"ada\\",\\"why\\":\\"card', '\\"who\\":\\"eve\\",\\"why\\":\\"card'),
      ),
    ],
    ['a record out', lines.toSpliced(4, 1).with(-1, '{"end":{"records":3}}')],
    ['a record twice', lines.toSpliced(4, 0, lines[4] as string).with(-1, '{"end":{"records":5}}')],
    ['two in each other’s place', lines.with(3, lines[4] as string).with(4, lines[3] as string)],
    ['a head', lines.map((line) => line.replace('"length":3', '"length":2'))],
    ['no end', lines.slice(0, -1)],
    ['a chain out, with its head', [...lines.slice(0, 3), '{"end":{"records":1}}']],
    ['no erasure', [lines[0]?.replace(/,"trails".*?}/, '') ?? '', ...lines.slice(3, -1), '{"end":{"records":3}}']],
    ['a record more behind the end', [...lines, lines[3] as string]],
  ]
  it.each(spoilt)('is judged as by us: %s', (_what, changed) => {
    expect(changed).not.toEqual(lines)
    const [ours, theirs] = verdicts(changed)
    expect(theirs).toBe(ours)
    expect(ours).not.toBe('intact')
  })

  it('is not intact whichever character was changed', { timeout: 240_000 }, () => {
    const text = lines.join('\n')
    const free = lines[0]?.indexOf('"at"') ?? 0
    // A prime step: another place in each line, some 150 in all.
    for (let at = 0; at < text.length; at += 37) {
      if (at >= free && at < (lines[0]?.indexOf('"chains"') ?? 0)) continue
      const other = text[at] === 'x' ? 'y' : 'x'
      const verifier = createExportVerifier()
      for (const line of `${text.slice(0, at)}${other}${text.slice(at + 1)}`.split('\n')) verifier.add(line)
      expect(verifier.finish().verdict, `at ${at}: …${text.slice(at - 20, at + 20)}…`).not.toBe('intact')
    }
  })
})

/** Ours, and that of the stranger. */
function verdicts(lines: readonly string[]): [string, string] {
  const verifier = createExportVerifier()
  for (const line of lines) verifier.add(line)
  const file = join(folder, 'export.ndjson')
  writeFileSync(file, `${lines.join('\n')}\n`)
  const [theirs] = execFileSync(process.execPath, [STRANGER, file], { encoding: 'utf8' }).split('\n')
  return [verifier.finish().verdict, theirs ?? '']
}
