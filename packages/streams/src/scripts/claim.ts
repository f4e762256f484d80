import { idTimeMs, type Lane } from '@millrace/contracts'
import { DIGITS, jobIdFrom } from '../digits.ts'
import type { Partition } from '../partition.ts'
import { unpackPayload } from '../payload.ts'
import type { JobMeta } from './enqueue.ts'
import { loadScript, runScript } from './load.ts'

/** A job in this consumer's hands, under its name until it is settled. */
export interface ClaimedJob {
  readonly address: string
  readonly lane: Lane
  /** When it came into its lane, by the server's clock. */
  readonly readyAtMs: number
  readonly id: string
  /** Counts from 1. */
  readonly attempt: number
  /** Rises with each delivery, takeovers included. */
  readonly epoch: number
  readonly meta: JobMeta
  readonly data: string
  /** It was retried, delayed, held or redriven: its place is noted, and the note is to be taken back. */
  readonly moved: boolean
}

export type Claim =
  | {
      readonly kind: 'claimed'
      readonly nowMs: number
      readonly jobs: ClaimedJob[]
      readonly expired: string[]
      /** So many attempts may begin now, at what was prefetched before and then at these jobs; the rest is prefetched. */
      readonly starts: number
    }
  /** The rate limit gives the next token in so many ms. */
  | { readonly kind: 'limited'; readonly waitMs: number }
  | { readonly kind: 'empty' | 'full' | 'paused' | 'fenced' }

export type JobTuple = [
  lane: Lane,
  place: string,
  id: string,
  attempt: number,
  epoch: number,
  meta: string,
  data: string,
  moved: number,
]

/** More than this in one reply gains nothing and makes one script hold the server up. */
export const MAX_CLAIM = 500

const script = loadScript('claim', 'allow-oom')

export interface ClaimCall {
  readonly consumer: string
  readonly address: string
  readonly concurrency: number
  /** Attempts that are to begin. */
  readonly want: number
  /** Jobs that this consumer has claimed and begun no attempt at. */
  readonly prefetched?: number
  /** Jobs that it would like to have beyond those of attempts that begin; a queue with rate limits or keys gives none. */
  readonly prefetch?: number
  /** Attempts of this consumer that are under way, and will make way for what is prefetched. */
  readonly underWay?: number
}

/** Claim ready jobs of one queue. Attempts never begin beyond its concurrency over all consumers. */
export async function claim(
  partition: Partition,
  { consumer, address, concurrency, want, prefetched = 0, prefetch = 0, underWay = 0 }: ClaimCall,
): Promise<Claim> {
  const args = [consumer, address, concurrency, Math.min(want, MAX_CLAIM), prefetched, prefetch, underWay]
  const reply = (await runScript(partition, script, args)) as unknown[]
  const [kind, nowMs, expired, starts, ...lanes] = reply as ClaimReply
  if (kind === 'limited') return { kind, waitMs: nowMs }
  if (kind !== 'claimed') return { kind }
  const jobs: ClaimedJob[] = []
  for (let i = 0; i < lanes.length; i += 2) {
    for (const element of lanes[i + 1] as string[]) {
      jobs.push(readElement(partition, { address, lane: lanes[i] as Lane, element }))
    }
  }
  return { kind, nowMs, expired, jobs, starts }
}

type ClaimReply = [Claim['kind'], nowMs: number, expired: string[], starts: number, ...(Lane | string[])[]]

interface Element {
  readonly address: string
  readonly lane: Lane
  readonly element: string
}

/** An element is the place, then the payload, or `@`, a line of JSON and the payload (`element_of` in prelude_lane.lua). */
function readElement({ hex }: Partition, { address, lane, element }: Element): ClaimedJob {
  const place = element.slice(0, DIGITS)
  if (element[DIGITS] !== '@') {
    const id = jobIdFrom(place, hex)
    const data = unpackPayload(element.slice(DIGITS))
    return { address, lane, readyAtMs: idTimeMs(place), id, attempt: 1, epoch: 1, meta: NO_META, data, moved: false }
  }
  const lineEnd = element.indexOf('\n')
  const { job, attempt, epoch, meta } = JSON.parse(element.slice(DIGITS + 1, lineEnd)) as Body
  const id = job || jobIdFrom(place, hex)
  const data = element.slice(lineEnd + 1)
  return toClaimedJob(address, [lane, place, id, attempt + 1, epoch + 1, meta, data, job === '' ? 0 : 1])
}

interface Body {
  readonly job: string
  readonly attempt: number
  readonly epoch: number
  readonly meta: string
}

const NO_META: JobMeta = Object.freeze({})

export function toClaimedJob(
  address: string,
  [lane, place, id, attempt, epoch, meta, data, moved]: JobTuple,
): ClaimedJob {
  return {
    address,
    lane,
    readyAtMs: idTimeMs(place),
    id,
    attempt,
    epoch,
    meta: meta === '' ? NO_META : JSON.parse(meta),
    data: unpackPayload(data),
    moved: moved === 1,
  }
}
