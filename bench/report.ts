import type { Appendfsync, Figure, Row, Target } from './measure.ts'

/** A row of a run, with what it came from. Of several rounds it is the one with the median ratio, and has all ratios. */
export interface Result extends Row {
  readonly measure: string
  readonly appendfsync: Appendfsync
  readonly ratios: readonly number[]
}

/** The same rows from several rounds: of each the round in the middle. */
export function middleOf(rounds: readonly (readonly Row[])[]): (Row & { ratios: readonly number[] })[] {
  return (rounds[0] ?? []).map((_row, index) => {
    const rows = rounds.map((round) => round[index] as Row).sort((a, b) => a.ratio - b.ratio)
    const middle = rows[Math.floor((rows.length - 1) / 2)] as Row
    return { ...middle, ratios: rows.map(({ ratio }) => ratio) }
  })
}

export function toTable(results: readonly Result[]): string {
  const head = ['what', 'appendfsync', 'Millrace', 'peer', 'ratio', 'target', 'met']
  const lines = results.map((row) => [
    row.what,
    row.appendfsync,
    `${figure(row.ours.value)} ${row.unit}${partsOf(row.ours.parts)}`,
    `${row.peerName} ${figure(row.peer.value)}`,
    figure(row.ratio),
    row.target ? targetWords(row.target) : '',
    row.met === undefined ? '' : row.met ? 'yes' : 'no',
  ])
  return markdown([head, ...lines])
}

/** Processor time per job is steadier than the clock on a busy machine. */
export function toProcessorTable(results: readonly Result[]): string {
  const measured = results.filter(({ ours }) => Object.keys(ours.processorMicros ?? {}).length > 0)
  const lines = measured.map((row) => [
    row.what,
    row.appendfsync,
    micros(row.ours),
    `${row.peerName}: ${micros(row.peer)}`,
  ])
  return markdown([['processor time per job, µs', 'appendfsync', 'Millrace', 'peer'], ...lines])
}

export function targetWords(target: Target): string {
  if ('atLeast' in target) return `at least ${target.words ?? target.atLeast}`
  return `at most ${target.words ?? target.atMost}`
}

/** The sum over all processes, and each. */
export function micros({ processorMicros = {} }: Figure): string {
  const sum = Object.values(processorMicros).reduce((total, each) => total + each, 0)
  return `${figure(sum)}${partsOf(processorMicros)}`
}

function partsOf(parts: Readonly<Record<string, number>> = {}): string {
  const words = Object.entries(parts).map(([name, each]) => `${name} ${figure(each)}`)
  return words.length > 0 ? ` (${words.join(', ')})` : ''
}

/** Three digits that mean something; all of a large number. */
function figure(value: number): string {
  return Math.abs(value) >= 100 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(3)))
}

export function markdown([head, ...lines]: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [line(head ?? []), `|${' --- |'.repeat(head?.length ?? 0)}`, ...lines.map(line)].join('\n')
}
