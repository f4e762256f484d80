import { type HistoryPage, historyPageSchema, ProblemError } from '@millrace/contracts'
import type { LogStart } from '@millrace/streams'
import { request } from 'undici'
import { z } from 'zod'

/** What the audit store has of a log that was trimmed. */
export interface History {
  /** False when this dispatcher was told of no audit app. */
  readonly isThere: boolean
  /**
   * Facts of a log behind `after`, up to `to`, as far as one look goes; at most two hundred.
   * @throws ProblemError `history.unavailable` when the audit app cannot be reached or has not recorded what was trimmed.
   */
  read(range: HistoryRange): Promise<HistoryPage>
}

export interface HistoryRange {
  readonly partition: number
  readonly after: string
  readonly to: string
  /** Only what services publish. */
  readonly publishedOnly: boolean
  readonly start: LogStart
}

const DEADLINE_MS = 10_000
/** After a failure nobody asks for so long: many may wait for the same app. */
const REST_MS = 2000
const answerSchema = z.object({ data: historyPageSchema })

/** `url` and `key` of the audit app; the key needs the role auditor, where keys are asked for. */
export function createHistory({
  url: auditUrl,
  key,
  clock,
}: {
  url: string | undefined
  key: string | undefined
  clock: { now(): number }
}): History {
  let restUntil = 0
  let lastFailure = ''
  const refuse = (why: string, cause?: unknown) => {
    lastFailure = why
    restUntil = clock.now() + REST_MS
    return unavailable(why, cause)
  }
  return {
    isThere: auditUrl !== undefined,
    async read({ partition, after, to, publishedOnly, start }) {
      if (auditUrl === undefined) throw unavailable('SEPTOR_URL is not set')
      if (clock.now() < restUntil) throw unavailable(lastFailure)
      const query = new URLSearchParams({ partition: String(partition), after, to })
      if (publishedOnly) query.set('kind', 'event')
      const url = `${auditUrl.replace(/\/$/, '')}/v1/log?${query}`
      const page = await ask(url, key).catch((error: unknown) => {
        throw refuse(`the audit app at ${auditUrl} does not answer: ${(error as Error).message}`, error)
      })
      // Another store, or one that was put back from a copy, does not have what is missing here.
      if (page.entriesRead < start.trimmed) {
        const has = `${page.entriesRead} of the ${start.trimmed} entries that the log has lost`
        throw refuse(`the audit app at ${auditUrl} has recorded only ${has}`)
      }
      return page
    },
  }
}

async function ask(url: string, key: string | undefined): Promise<HistoryPage> {
  const { statusCode, body } = await request(url, {
    headers: key === undefined ? {} : { authorization: `Bearer ${key}` },
    headersTimeout: DEADLINE_MS,
    bodyTimeout: DEADLINE_MS,
  })
  const text = await body.text()
  if (statusCode !== 200) throw new Error(`it answered ${statusCode} ${text.slice(0, 200)}`)
  return answerSchema.parse(JSON.parse(text)).data
}

function unavailable(why: string, cause?: unknown): ProblemError {
  const detail = `Events from before the log cannot be read from the audit store now: ${why}.`
  return new ProblemError('history.unavailable', detail, { retryAfterSeconds: 5, cause })
}
