import { startProcess, startReceiver } from '@millrace/testkit'
import { expect, it } from 'vitest'

it.each(['SIGTERM', 'SIGINT'] as const)(
  'says where it listens, and on %s hands over its events and leaves with 0',
  async (signal) => {
    const audit = await startReceiver()
    // Down for a moment: the event must wait in the process, and not be lost by its end.
    audit.script(
      '/v1/events/emit',
      { status: 503 },
      { status: 201, body: { success: true, data: { eventId: 'evt_1' } } },
    )
    const child = await startProcess({
      file: new URL('../src/main.ts', import.meta.url),
      env: { PORT: '0', IEC_QUEUE_URL: audit.url, SEPTOR_URL: audit.url },
      readyWhen: /^dependency-audit listening on http:\/\/127\.0\.0\.1:\d+$/,
    })
    try {
      const url = child.stdout().trim().split(' ').at(-1)
      const data = { run: 'tick_1', path: 'node_modules/none', name: 'none', version: '1.0.0' }
      const answer = await fetch(`${url}/internal/jobs/audit-package`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ jobId: 'job_1', queue: 'audit-package', attempt: 1, data }),
      })
      expect(await answer.json()).toEqual({ success: true, skipped: true })
      child.signal(signal)
      expect(await child.exited).toEqual({ code: 0, signal: null })
      expect(audit.requests('/v1/events/emit')).toHaveLength(2)
    } finally {
      await child.stop()
      await audit.stop()
    }
  },
)
