import type { Config } from '../config.ts'
import type { FanOutSummary, Progress } from './example.ts'

const BAR_WIDTH = 30
/** A log that nobody watches gets a progress line now and then rather than a bar that is drawn over. */
const PLAIN_INTERVAL_MS = 1000

export interface Screen {
  line(text?: string): void
  progress: Progress
  /** Ends the progress line, if there is one. */
  endProgress(): void
}

/** What `millrace up` writes: a progress line that is drawn over on a terminal, plain lines elsewhere. */
export function createScreen(output: NodeJS.WriteStream): Screen {
  let drawn = false
  let plainAt = 0
  const endProgress = () => {
    if (drawn) output.write('\n')
    drawn = false
  }
  return {
    line(text = '') {
      endProgress()
      output.write(`${text}\n`)
    },
    progress({ accepted, finished, retried, dead }) {
      const text = `  ${bar(finished, accepted)} ${finished}/${accepted} jobs done, ${retried} retried, ${dead} dead-lettered`
      if (output.isTTY) {
        output.write(`\r\x1b[2K${text}`)
        drawn = true
      } else if (Date.now() - plainAt >= PLAIN_INTERVAL_MS) {
        plainAt = Date.now()
        output.write(`${text}\n`)
      }
    },
    endProgress,
  }
}

function bar(done: number, total: number): string {
  const filled = total === 0 ? 0 : Math.min(BAR_WIDTH, Math.round((done / total) * BAR_WIDTH))
  return `[${'#'.repeat(filled)}${'.'.repeat(BAR_WIDTH - filled)}]`
}

export function summaryLines(summary: FanOutSummary): string[] {
  const rows: [string, string][] = [
    ['fired', `${summary.fired} schedule`],
    [
      'fanned out',
      `${summary.fannedOut} jobs${summary.resumed > 0 ? `, besides ${summary.resumed} accepted by an earlier run` : ''}`,
    ],
    ['delivered', `${summary.delivered}`],
    ['retried', `${summary.retried} attempts`],
    ['dead-lettered', `${summary.deadLettered}`],
    ['audit records', `${summary.auditRecords} in ${summary.chains} chains`],
    ['chain verified', summary.chainValid ? 'yes, every record' : 'NO: run `npx millrace audit verify`'],
    ['time', `${(summary.durationMs / 1000).toFixed(1)} s from the tick to the last delivery`],
  ]
  return rows.map(([name, value]) => `  ${name.padEnd(16)}${value}`)
}

export function urlLines({ urls, isOpen }: Config, { example }: { example: boolean }): string[] {
  const rows: [string, string][] = [
    ['dispatcher', `${urls.dispatcher}   POST /jobs, GET /queues, GET /dead-letters   (IEC_QUEUE_URL)`],
    ['scheduler', `${urls.scheduler}   GET /schedules`],
    ['audit', `${urls.audit}   GET /v1/events, GET /v1/jobs, GET /v1/verify (SEPTOR_URL)`],
    ...(example ? ([['example', `${urls.example}   the dependency-audit service`]] as [string, string][]) : []),
    ['each app', '/metrics, /openapi.json, /readyz'],
    ...(isOpen
      ? ([['keys', 'none needed, so only this machine is let in: docs/access.md']] as [string, string][])
      : []),
  ]
  return rows.map(([name, value]) => `  ${name.padEnd(12)}${value}`)
}
