import { randomUUID } from 'node:crypto'
import type { Septor } from '@millrace/sdk'
import express, { type Express } from 'express'
import { type AuditOutcome, auditPackage, type PackageJob } from './audit-package.ts'
import type { Config } from './config.ts'
import { FinishedAudits } from './finished-audits.ts'
import type { LockedPackage, Lockfile } from './lockfile.ts'
import type { Logger } from './logger.ts'
import type { Machine } from './machine.ts'

export interface AppDependencies {
  readonly config: Pick<Config, 'queueUrl' | 'namespace' | 'apiKey'>
  readonly septor: Pick<Septor, 'emit'>
  readonly logger: Logger
  readonly readLockfile: () => Promise<Lockfile>
  readonly machine: Machine
  /** Told of work that goes on after its request was answered. */
  readonly inBackground: (work: Promise<void>) => void
}

export function createApp(dependencies: AppDependencies): Express {
  const { septor, logger, readLockfile, machine, inBackground } = dependencies
  const finished = new FinishedAudits()
  const app = express()
  app.use(express.json())

  app.get('/health', (_req, res) => {
    res.json({ status: 'ok' })
  })

  app.post('/internal/cron/nightly-audit', (req, res) => {
    // The tick is done when it is heard. How long the fan-out takes is this service's own affair.
    res.json({ success: true })
    // A tick that is delivered twice carries the same id, so its second fan-out is skipped package by package.
    const run: string = req.body?.tickId ?? `manual-${randomUUID()}`
    inBackground(fanOut(run, dependencies))
  })

  app.post('/internal/jobs/audit-package', async (req, res) => {
    const delivery = parseDelivery(req.body)
    if (delivery === undefined) {
      // What cannot be read now cannot be read later: no retries, straight to the dead letters.
      res.status(400).set('x-no-retry', '1').json({ success: false, reason: 'not a job of audit-package' })
      return
    }
    const { jobId, attempt, job } = delivery
    if (finished.has(jobId, job)) {
      res.json({ success: true, skipped: true })
      return
    }
    try {
      const outcome = await auditPackage(job, { attempt, lockfile: await readLockfile(), machine })
      if (outcome.kind === 'failed') {
        logger.warn({ jobId, attempt, path: job.path, why: outcome.why }, 'package is not there')
        res.status(500).json({ success: false, reason: outcome.why })
        return
      }
      finished.add(jobId, job)
      // Not awaited: the audit trail may be down for minutes, and the work is done either way.
      septor
        .emit(`dependency.${outcome.kind}`, toAuditEvent(delivery, outcome))
        .catch((err) => logger.error({ err, jobId, path: job.path }, 'not in the audit trail'))
      res.json({ success: true, ...(outcome.kind === 'skipped' && { skipped: true }) })
    } catch (err) {
      logger.error({ err, jobId, attempt, path: job.path }, 'audit failed')
      res.status(500).json({ success: false, reason: String(err) })
    }
  })

  return app
}

async function fanOut(run: string, dependencies: AppDependencies): Promise<void> {
  const { logger, readLockfile, config } = dependencies
  try {
    const { packages } = await readLockfile()
    const enqueued = await Promise.allSettled([...packages.values()].map((locked) => enqueueAudit(run, locked, config)))
    const refused = enqueued.filter((result) => result.status === 'rejected')
    for (const { reason } of refused) logger.warn({ err: reason, run }, 'package not enqueued')
    logger.info({ run, packages: packages.size, refused: refused.length }, 'fan-out done')
  } catch (err) {
    logger.error({ err, run }, 'fan-out failed')
  }
}

async function enqueueAudit(run: string, locked: LockedPackage, config: AppDependencies['config']): Promise<void> {
  const { path, name, version } = locked
  const data: PackageJob = { run, path, name, version }
  const response = await fetch(`${config.queueUrl}/jobs`, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json',
      ...(config.apiKey && { Authorization: `Bearer ${config.apiKey}` }),
    },
    body: JSON.stringify({ namespace: config.namespace, queue: 'audit-package', data }),
  })
  const answer = await response.text()
  if (!response.ok) throw new Error(`${path} was refused with ${response.status}: ${answer}`)
}

interface Delivery {
  readonly jobId: string
  readonly attempt: number
  readonly job: PackageJob
}

function parseDelivery(body: unknown): Delivery | undefined {
  const { jobId, attempt, data } = (body ?? {}) as { jobId?: unknown; attempt?: unknown; data?: Partial<PackageJob> }
  const { run, path, name, version } = data ?? {}
  const texts = [jobId, run, path, name, version]
  if (!texts.every((text) => typeof text === 'string') || typeof attempt !== 'number') return undefined
  return { jobId: jobId as string, attempt, job: data as PackageJob }
}

function toAuditEvent({ jobId, attempt, job }: Delivery, outcome: Exclude<AuditOutcome, { kind: 'failed' }>) {
  const { run, path, name, version } = job
  const who = 'dependency-audit'
  const where = { jobId, attempt, run, path }
  const entityId = `${name}@${version}`
  if (outcome.kind === 'skipped') return { entityId, data: where, metadata: { who, why: outcome.why } }
  return { entityId, data: { ...where, ...outcome.inspection }, metadata: { who } }
}
