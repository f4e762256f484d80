import { setImmediate as turnOfOthers } from 'node:timers/promises'
import { type FieldError, ProblemError, previewRequestSchema, previewSchema, problemSchema } from '@millrace/contracts'
import { checkCron, checkTimezone, previewSteps } from '@millrace/engine'
import type { AppServer, Clock } from '@millrace/runtime'

/** `POST /schedules/preview`: nothing is declared, nothing fires. */
export function addPreviewRoute(server: AppServer, { clock }: { clock: Clock }): void {
  server.post(
    '/schedules/preview',
    {
      schema: {
        summary: 'The next times of a rule, what clock changes do to them, and what other rules would do',
        body: previewRequestSchema,
        response: { 200: previewSchema, 422: problemSchema },
      },
    },
    async (request) => {
      const { cron, timezone, dst, from, count } = request.body
      refuse([
        ['/cron', cron, checkCron(cron)],
        ['/timezone', timezone, checkTimezone(timezone)],
      ])
      const fromMs = from === undefined ? clock.now() : Date.parse(from)
      const steps = previewSteps({ cron, timezone, dst }, { fromMs, count })
      for (;;) {
        const step = steps.next()
        if (step.done) return step.value
        // Ticks are due meanwhile.
        await turnOfOthers()
      }
    },
  )
}

function refuse(faults: readonly [pointer: string, value: string, fault: string | undefined][]): void {
  const errors: FieldError[] = faults.flatMap(([pointer, value, fault]) =>
    fault === undefined ? [] : [{ pointer, detail: `"${value}" ${fault}` }],
  )
  const [first] = errors
  if (first) throw new ProblemError('request.invalid', `The body: ${first.pointer} ${first.detail}.`, { errors })
}
