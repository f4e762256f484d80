/**
 * Ids are opaque to users; to us they are a position in a partition's log.
 *
 * `job_` + 11 hex digits of milliseconds + 5 of sequence + 3 of partition. So an id is unique for ever (a log position
 * is given out once), sorts by time, and names its partition: any command on an id finds its keys without an index.
 * The scripts build the same text (`job_id` in `prelude.lua`); a test holds the two together.
 */
export type Position = `${number}-${number}`

export interface IdParts {
  readonly prefix: string
  readonly ms: number
  readonly seq: number
  readonly partition: number
}

/** The registry's own log is numbered after every possible partition, so its ids fit the same shape. */
export const REGISTRY_PARTITION = 0xfff

/** A partition as metrics, logs and `/readyz` name it. */
export function partitionLabel(partition: number): string {
  return partition === REGISTRY_PARTITION ? 'reg' : `p${partition}`
}

export const MAX_PARTITIONS = REGISTRY_PARTITION - 1

const ID = /^([a-z]+)_([0-9a-f]{11})([0-9a-f]{5})([0-9a-f]{3})$/

export function formatId({ prefix, ms, seq, partition }: IdParts): string {
  return `${prefix}_${timeDigits(ms)}${hex(seq, 5)}${hex(partition, 3)}`
}

let lastMs = -1
let lastDigits = ''

/** Ids come in runs of the same millisecond. */
function timeDigits(ms: number): string {
  if (ms !== lastMs) {
    lastMs = ms
    lastDigits = hex(ms, 11)
  }
  return lastDigits
}

export function parseId(id: string): IdParts | undefined {
  const match = ID.exec(id)
  if (!match) return undefined
  const [, prefix, ms, seq, partition] = match as unknown as [string, string, string, string, string]
  return { prefix, ms: parseInt(ms, 16), seq: parseInt(seq, 16), partition: parseInt(partition, 16) }
}

/** When what an id names was made, in ms; for ids that are known to be ours, or their digits alone. */
export function idTimeMs(id: string): number {
  const start = id.indexOf('_') + 1
  return parseInt(id.slice(start, start + 11), 16)
}

export function idFromPosition(prefix: string, position: string, partition: number): string {
  const { ms, seq } = parsePosition(position)
  return formatId({ prefix, ms, seq, partition })
}

let lastPosition = ''
// What an empty text comes to.
let lastParts: { readonly ms: number; readonly seq: number } = { ms: 0, seq: 0 }

/** A stream entry id, `<ms>-<seq>`, as its two numbers. */
export function parsePosition(position: string): { readonly ms: number; readonly seq: number } {
  // That of one event is asked for several times in a row.
  if (position === lastPosition) return lastParts
  const dash = position.indexOf('-')
  lastPosition = position
  lastParts = { ms: Number(position.slice(0, dash)), seq: Number(position.slice(dash + 1)) }
  return lastParts
}

export function comparePositions(a: string, b: string): number {
  const left = parsePosition(a)
  const right = parsePosition(b)
  return left.ms - right.ms || left.seq - right.seq
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0')
}
