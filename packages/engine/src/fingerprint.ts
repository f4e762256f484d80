import { createHash } from 'node:crypto'
import type { LastResponse } from '@millrace/contracts'

/** How a job failed: letters that failed in the same way have the same fingerprint, whatever record they are about. */
export interface Fingerprint {
  /** 12 hex digits: 48 bits keep a thousand kinds of failure apart for all practical purposes. */
  readonly fingerprint: string
  /** What was said, one line, as it was said. */
  readonly sample: string
}

const MAX_SAMPLE = 200
const MAX_LINE = 500

/** The fingerprint of a failure: its reason, its status, and what was said without what differs from job to job. */
export function fingerprintOf({ reason, lastResponse }: { reason: string; lastResponse: LastResponse }): Fingerprint {
  const line = saidIn(lastResponse).slice(0, MAX_LINE)
  const parts = [reason, lastResponse.status ?? '', normalise(line)]
  const fingerprint = createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 12)
  return { fingerprint, sample: line.slice(0, MAX_SAMPLE) }
}

/** The line that says most: the message of a JSON body, the title of a page, else the first line that is not empty. */
function saidIn({ body = '', error = '' }: LastResponse): string {
  const text = messageIn(body) ?? (body.trimStart().startsWith('<') ? textOfPage(body) : body)
  return firstLine(text) || firstLine(error)
}

function firstLine(text: string): string {
  for (const line of text.split('\n', 50)) {
    const tidy = line.replaceAll(/\s+/g, ' ').trim()
    if (tidy !== '') return tidy
  }
  return ''
}

function textOfPage(body: string): string {
  return /<title>([^<]*)/i.exec(body)?.[1] ?? body.replaceAll(/<[^>]*>/g, '\n')
}

/** Where frameworks put their message, in the order in which it is believed. */
const MESSAGE_FIELDS = ['message', 'error', 'detail', 'error_description', 'title', 'code'] as const

function messageIn(body: string): string | undefined {
  if (!/^\s*\{/.test(body)) return undefined
  try {
    return findMessage(JSON.parse(body)) ?? undefined
  } catch {
    // It was cut at 4 KiB, or is no JSON: then its first line has to do.
    return undefined
  }
}

function findMessage(value: unknown): string | undefined {
  if (typeof value === 'string') return value === '' ? undefined : value
  if (typeof value !== 'object' || value === null) return undefined
  for (const field of MESSAGE_FIELDS) {
    const found = findMessage((value as Record<string, unknown>)[field])
    if (found !== undefined) return found
  }
  return undefined
}

/**
 * What differs from job to job becomes `#`. One sign for all of it: an id in hex may happen to be all digits, and must not
 * be another failure for it. A word with a digit in it is held to be an id, a number or a time; where that is wrong
 * (`utf8`), it is wrong in the same way each time.
 */
const VARYING: readonly RegExp[] = [
  // Quoted text; an apostrophe within a word opens nothing.
  /"[^"]*"|`[^`]*`|“[^”]*”|«[^»]*»|(?<![\p{L}\p{N}])'[^']*'(?![\p{L}\p{N}])/gu,
  // Dates as HTTP and as people write them.
  /\b(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? )?\d{1,2} (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]* \d{4}(?: \d{2}:\d{2}:\d{2})?(?: (?:GMT|UTC))?/g,
  // Hex ids that happen to have no digit.
  /(?<![\p{L}\p{N}])[a-f]{8,}(?![\p{L}\p{N}])/gu,
  /[\p{L}\p{N}_]*\p{N}[\p{L}\p{N}_]*/gu,
  // What was one id, time or address until now; a dash ties words to it (a uuid may have a part without digits).
  /[\p{L}_#-]*-#[\p{L}_#-]*|#(?:-[\p{L}_#]+)+/gu,
  /#(?:[.:,/+@-]*#)+/g,
]

function normalise(line: string): string {
  return VARYING.reduce((text, pattern) => text.replaceAll(pattern, '#'), line)
}
