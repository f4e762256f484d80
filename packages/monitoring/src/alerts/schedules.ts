import { SCHEDULE_METRICS } from '@millrace/contracts'
import { series } from '../expression.ts'
import { RECORDINGS } from '../recordings.ts'
import type { Alert } from './alert.ts'

const SCHEDULE = '{{ $labels.namespace }}/{{ $labels.schedule }}'
const next = RECORDINGS.scheduleNext.record
const missed = series(SCHEDULE_METRICS.ticks, { result: 'missed' })

export const SCHEDULE_ALERTS: readonly Alert[] = [
  {
    name: 'MillraceScheduleOverdue',
    severity: 'critical',
    // All schedulers say the same of a schedule, so one that still runs is enough to see that nobody fires it.
    expr: `time() - (${next} > 0) > 60`,
    for: '30s',
    summary: `Schedule ${SCHEDULE} should have fired {{ $value | humanizeDuration }} ago and did not`,
    description: 'Nobody fires it. See what GET /readyz and the log of the scheduler say.',
    means: 'The next time of a schedule has passed by more than a minute, and nobody fires it.',
    steps: [
      '`GET /readyz` of each scheduler: no Redis, or nothing planned lately.',
      'Its log: `background.failed` has the error.',
      'What is missed meanwhile is caught up with as `catchUp` of the schedule says.',
    ],
  },
  {
    name: 'MillraceScheduleMissed',
    severity: 'warning',
    expr: `sum by (namespace, schedule) (increase(${missed}[1h])) > 0`,
    summary: `Schedule ${SCHEDULE} has missed {{ $value | humanize }} runs in an hour`,
    description:
      '`millrace schedule ledger` says which and why. Fetch them with `millrace schedule backfill` if they are needed.',
    means: 'Nominal times passed that its catch-up does not fetch: nobody ran to fire them in time.',
    steps: [
      '`millrace schedule ledger <namespace> <name>` has a row for each, with its reason.',
      'Were schedulers down, or Redis? MillraceNoScheduler and the log say when.',
      'If the runs are needed: `millrace schedule backfill`. If it happens often, widen `catchUp` in the manifest.',
    ],
  },
  {
    name: 'MillraceScheduleLate',
    severity: 'warning',
    expr: `${RECORDINGS.scheduleDelayP99.record} > 1`,
    for: '5m',
    summary: 'Schedules fire {{ $value | humanizeDuration }} late',
    description:
      'One tick in a hundred fires as late as that. See whether Redis or the schedulers lack processor time.',
    means: 'Ticks become jobs more than a second after their time.',
    steps: [
      'Event loop lag and processor time of the schedulers (dashboard Overview).',
      'Is Redis slow? `SLOWLOG GET`.',
      'Thousands of schedules at the same minute: give them `jitterMs`.',
    ],
  },
  {
    name: 'MillraceNoScheduler',
    severity: 'critical',
    expr: 'absent(up{app="scheduler"} == 1)',
    for: '1m',
    summary: 'No scheduler runs',
    description:
      'Nothing fires until one does: start one. What is missed meanwhile is caught up with as each schedule says.',
    means: 'Prometheus reaches no scheduler.',
    steps: ['Start one; any number may run.', 'If one runs: does Prometheus have its address (`/targets`)?'],
  },
]
