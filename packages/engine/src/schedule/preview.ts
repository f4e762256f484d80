import { DST_PRESETS, type DstPreset } from '@millrace/contracts'
import { describeRule } from './describe.ts'
import { type CronRule, type NominalTime, nextTime, type SkippedGap, skippedGaps } from './nominal-times.ts'
import { offsetAt } from './zone.ts'

export interface PreviewTime {
  /** RFC 3339, UTC. */
  readonly at: string
  /** What the clock on the wall shows then, `2026-03-08T03:00`. */
  readonly local: string
  /** `-06:00` */
  readonly offset: string
  /** What is special about it, where a clock change is near. */
  readonly note?: string
}

export interface Preview {
  readonly times: PreviewTime[]
  readonly description: string
  /** The same under the other rules for daylight saving, by their names. */
  readonly presets: Readonly<Record<DstPreset, PreviewTime[]>>
}

interface Asked {
  readonly fromMs: number
  readonly count: number
}

/** The next nominal times of a rule after a time, with what each preset would make of them. */
export function previewRule(rule: CronRule, asked: Asked): Preview {
  const steps = previewSteps(rule, asked)
  for (;;) {
    const step = steps.next()
    if (step.done) return step.value
  }
}

/**
 * The same, with a stop behind each time. A hundred fifth Mondays of a February lie a thousand years apart: whoever has
 * other things to do at their time does them in between.
 */
export function* previewSteps(rule: CronRule, asked: Asked): Generator<undefined, Preview> {
  const times = yield* timesOf(rule, asked)
  const presets: [DstPreset, PreviewTime[]][] = []
  for (const dst of DST_PRESETS) presets.push([dst, yield* timesOf({ ...rule, dst }, asked)])
  return {
    times,
    description: describeRule(rule),
    presets: Object.fromEntries(presets) as Record<DstPreset, PreviewTime[]>,
  }
}

function* timesOf(rule: CronRule, { fromMs, count }: Asked): Generator<undefined, PreviewTime[]> {
  const times: PreviewTime[] = []
  let afterMs = fromMs
  while (times.length < count) {
    const time = nextTime(rule, afterMs)
    if (!time) break
    times.push(toPreview(rule, time, skippedGaps(rule, { afterMs, untilMs: time.atMs })))
    afterMs = time.atMs
    yield
  }
  return times
}

function toPreview({ timezone }: CronRule, time: NominalTime, gaps: readonly SkippedGap[]): PreviewTime {
  const offsetMs = offsetAt(timezone, time.atMs)
  const notes = [...gaps.map(noteOfGap), ...noteOfCase(time)]
  return {
    at: new Date(time.atMs).toISOString(),
    local: wallText(time.atMs + offsetMs),
    offset: offsetText(offsetMs),
    ...(notes.length > 0 && { note: notes.join('; ') }),
  }
}

function noteOfGap({ count, fromWallMs, toWallMs }: SkippedGap): string {
  const until = count === 1 ? '' : ` to ${wallText(toWallMs)} (${count} times)`
  return `before it ${wallText(fromWallMs)}${until} did not exist and was skipped`
}

function noteOfCase({ case: special, wallMs }: NominalTime): string[] {
  switch (special) {
    case undefined:
      return []
    case 'gap_end':
      return [`${wallText(wallMs)} does not exist: at the end of the gap`]
    case 'gap_shift':
      return [`${wallText(wallMs)} does not exist: later by the length of the gap`]
    case 'repeat_first':
      return ['this wall-clock time comes twice: the first']
    case 'repeat_last':
      return ['this wall-clock time comes twice: the second']
    default:
      return special satisfies never
  }
}

/** A wall time as `2026-03-08T02:30`, with seconds where it has some. */
export function wallText(wallMs: number): string {
  const text = new Date(wallMs).toISOString()
  return text.slice(0, wallMs % 60_000 === 0 ? 16 : 19)
}

function offsetText(offsetMs: number): string {
  const minutes = Math.abs(Math.trunc(offsetMs / 60_000))
  const [hours, rest] = [Math.floor(minutes / 60), minutes % 60].map((part) => String(part).padStart(2, '0'))
  return `${offsetMs < 0 ? '-' : '+'}${hours}:${rest}`
}
