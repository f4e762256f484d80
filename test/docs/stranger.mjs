/**
 * A verifier of exports by somebody who has only read docs/audit-format.md. It imports nothing of the project on purpose:
 * what it cannot do from the page alone, the page does not say.
 *
 *   node stranger.mjs <file>       prints the verdict, then what does not hold
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'

const sha256 = (text) => createHash('sha256').update(text, 'utf8').digest('hex')
const faults = []
const fault = (verdict, level, where) => faults.push({ verdict, level, where })

const lines = readFileSync(process.argv[2], 'utf8').split('\n').slice(0, -1).map(parse)
const opening = lines[0]?.export
if (opening?.format !== 1) fault('unverifiable', 'export', 'first line')
const end = lines.findIndex((line) => line?.end)
if (end < 0) fault('unverifiable', 'export', 'last line')
if (end >= 0 && end !== lines.length - 1) fault('tampered', 'export', 'lines behind the end')

const records = lines.filter((line) => typeof line?.record === 'string')
if (end >= 0 && lines[end].end.records !== records.length) fault('tampered', 'export', 'number of records')
for (const line of lines)
  if (!line || !['export', 'record', 'head', 'end'].some((name) => name in line)) fault('tampered', 'export', 'a line')

// Which places were erased, by the erasure that says so.
const erasures = new Map()
for (const line of records) {
  const record = parse(line.record) ?? {}
  const isErasure = record.eventType === 'payload.erased' && record.how?.kind === 'trail'
  if (isErasure && checkHash(line) && checkPayload(line, record)) erasures.set(record.eventId, parse(line.data).ranges)
}

const seen = new Map()
let chain = []
for (const line of lines) {
  if (typeof line?.record === 'string') {
    const record = parse(line.record) ?? {}
    checkRecord(line, record)
    if (!seen.has(record.partition)) seen.set(record.partition, new Set())
    seen.get(record.partition).add(record.seq)
    if (chain.length > 0 && !sameChain(chain[0].record, record)) closeChain({})
    chain.push({ line, record })
  }
  if (line?.head) closeChain(line.head)
}
if (chain.length > 0 && end >= 0) closeChain({})

if (end >= 0)
  for (const [partition, length] of Object.entries(opening?.trails ?? {}))
    for (let seq = 0; seq < length; seq++)
      if (!seen.get(Number(partition))?.has(seq)) fault('tampered', 'trail', `${partition}/${seq}`)

const isTampered = faults.some(({ verdict }) => verdict === 'tampered')
console.log(isTampered ? 'tampered' : faults.length > 0 ? 'unverifiable' : 'intact')
for (const { level, where } of faults) console.log(`${level} ${where}`)

function checkRecord(line, record) {
  const where = `${record.entityId} ${record.chainIndex}`
  if (!checkHash(line)) fault('tampered', 'record', where)
  else if (record.v !== 1) fault('unverifiable', 'record', where)
  else if (line.data === null && line.salt === null && line.erasedBy) {
    const ranges = erasures.get(line.erasedBy)
    const isNamed = ranges?.[record.partition]?.some(([first, last]) => first <= record.seq && record.seq <= last)
    if (!ranges) fault('unverifiable', 'payload', where)
    else if (!isNamed) fault('tampered', 'payload', where)
  } else if (!checkPayload(line, record)) fault('tampered', 'payload', where)
}

function closeChain(head) {
  if (opening?.chains === 'parts') chain = []
  if (chain.length > 0 && head.entityId !== undefined && !sameChain(chain[0].record, head)) closeChain({})
  let previous = '0'.repeat(64)
  for (const [index, { line, record }] of chain.entries()) {
    if (record.chainIndex !== index || record.previousHash !== previous)
      fault('tampered', 'chain', `${record.entityId} ${index}`)
    previous = line.eventHash
  }
  if (opening?.chains !== 'parts' && (head.length !== chain.length || (chain.length > 0 && head.hash !== previous)))
    fault('tampered', 'head', head.entityId ?? chain[0]?.record.entityId)
  chain = []
}

function checkHash({ record, eventHash }) {
  return sha256(`\0${record}`) === eventHash
}

function checkPayload({ salt, data }, { dataHash }) {
  return typeof salt === 'string' && typeof data === 'string' && sha256(salt + data) === dataHash
}

function sameChain(one, other) {
  return one.namespace === other.namespace && one.entityId === other.entityId
}

function parse(text) {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
