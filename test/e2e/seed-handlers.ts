import type { Septor } from '@millrace/sdk'
import express, { type Express, type RequestHandler } from 'express'

/** What a handler finds in `process.env`. */
export interface SeedEnvironment {
  readonly IEC_QUEUE_URL: string
  readonly SEPTOR_URL: string
  readonly SERVICE_NAMESPACE: string
}

/** The business that the handlers call. */
export interface SeedBusiness {
  readonly record: RequestHandler
  getPendingRecords(): Promise<readonly { readonly id: string }[]>
  perform(name: string, item: string): Promise<void>
  isPerformed(name: string, item: string): boolean
  createReport(request: unknown): Promise<{ reportId: string }>
}

interface SeedLogger {
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

/**
 * Handlers in the shape in which users of the platform have them today. They must run against Millrace as they are: do not
 * "improve" one when a test fails, what is wrong is then on the other side. The bodies of the fan-out's answers, for
 * instance, are deliberately not read.
 */
export function createSeedApp(
  env: SeedEnvironment,
  business: SeedBusiness,
  { septor, logger }: { septor: Septor; logger: SeedLogger },
): Express {
  const app = express()
  // Two of the handlers let an error rise; otherwise Express prints each one's stack.
  app.set('env', 'test')
  app.use(express.json())
  app.use('/internal', business.record)

  app.get('/health', (_req, res) => {
    res.json({ status: 'ok' })
  })

  app.post('/internal/cron/nightly-sync', async (_req, res) => {
    res.json({ success: true })
    try {
      const records = await business.getPendingRecords()
      await Promise.allSettled(
        records.map((record) =>
          fetch(`${env.IEC_QUEUE_URL}/jobs`, {
            method: 'POST',
            headers: { 'Content-Type': 'application/json' },
            body: JSON.stringify({
              namespace: env.SERVICE_NAMESPACE,
              queue: 'sync-record',
              data: { recordId: record.id },
            }),
          }).catch((err) => logger.warn({ err, recordId: record.id }, 'record was not enqueued')),
        ),
      )
    } catch (err) {
      logger.error({ err }, 'nightly sync did not fan out')
    }
  })

  app.post('/internal/jobs/sync-record', async (req, res) => {
    const { jobId, data, attempt } = req.body
    const { recordId } = data
    if (business.isPerformed('sync-record', recordId)) return res.json({ success: true, skipped: true })
    try {
      await business.perform('sync-record', recordId)
      septor
        .emit('record.synced', { entityId: recordId, data: { jobId, attempt }, metadata: { who: 'sync-worker' } })
        .catch((err) => logger.error({ err }, 'emit failed'))
      return res.json({ success: true })
    } catch (err) {
      logger.error({ jobId, recordId, attempt, err }, 'record was not synced')
      return res.status(500).json({ success: false })
    }
  })

  app.post('/internal/jobs/process-claim', async (req, res) => {
    const { jobId, queue, attempt, data } = req.body
    const { claimId } = data
    if (business.isPerformed(queue, claimId)) return res.json({ success: true, skipped: true })
    try {
      const result = await business.perform(queue, claimId)
      septor
        .emit('claim.processed', {
          entityId: claimId,
          data: { jobId, attempt, result },
          metadata: { who: 'process-claim-worker' },
        })
        .catch((err) => logger.error({ err }, 'emit failed'))
      return res.json({ success: true })
    } catch (err) {
      logger.error({ jobId, claimId, attempt, err }, 'claim was not processed')
      return res.status(500).json({ success: false })
    }
  })

  const auth: RequestHandler = (_req, _res, next) => next()
  app.post('/api/reports/generate', auth, async (req, res) => {
    const { reportId } = await business.createReport(req.body)
    await fetch(`${env.IEC_QUEUE_URL}/jobs`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ namespace: env.SERVICE_NAMESPACE, queue: 'generate-report', data: { reportId } }),
    })
    res.json({ success: true, reportId, status: 'queued' })
  })

  app.post('/internal/jobs/generate-report', async (req, res) => {
    await business.perform('generate-report', req.body.data.reportId)
    res.json({ success: true })
  })

  app.post('/internal/jobs/step-one', async (req, res) => {
    await business.perform('step-one', req.body.data.orderId)
    await fetch(`${env.IEC_QUEUE_URL}/jobs`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ namespace: env.SERVICE_NAMESPACE, queue: 'step-two', data: req.body.data }),
    })
    res.json({ success: true })
  })

  app.post('/internal/jobs/step-two', async (req, res) => {
    await business.perform('step-two', req.body.data.orderId)
    res.json({ success: true })
  })

  return app
}
