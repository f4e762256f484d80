import type { ReceivedRequest } from '@millrace/testkit'
import { pathOf, type Rig } from './fixture.ts'

/** A job as a batch names it. */
export interface Delivered {
  readonly jobId: string
  readonly attempt: number
  readonly epoch: number
  readonly token: string
  readonly data: unknown
}
/** What an answer says of one job. */
export interface Said {
  readonly jobId: string
  readonly status: number
  readonly [field: string]: unknown
}

export const jobsOf = (request: ReceivedRequest) => (request.json() as { jobs: Delivered[] }).jobs
export const idsOf = (request: ReceivedRequest) => jobsOf(request).map(({ jobId }) => jobId)
/** Answers each job of a batch as told, 200 without being told. */
export const answering = (say: (job: Delivered) => Partial<Said> | undefined = () => ({})) => {
  return (request: ReceivedRequest) => {
    const results = jobsOf(request).flatMap((job) => {
      const said = say(job)
      return said ? [{ jobId: job.jobId, status: 200, ...said }] : []
    })
    return { body: { results } }
  }
}

/** A service with one batch queue, `mail`. */
export async function batchQueue(rig: Rig, batch: Record<string, number>, fields: Record<string, unknown> = {}) {
  const namespace = await rig.service([{ name: 'mail', concurrency: 20, batch, ...fields }])
  const path = pathOf(namespace, 'mail')
  /** In one go, so that one claim can take them all. */
  const enqueueAll = async (payloads: readonly unknown[]) => {
    const jobs = payloads.map((data) => ({ namespace, queue: 'mail', data }))
    const { body } = await rig.client.call<{ results: { id: string }[] }>('POST', '/jobs/batch', {
      body: { jobs, atomic: true },
    })
    return body.results.map(({ id }) => id)
  }
  return { namespace, path, enqueueAll }
}

/** A behaviour that waits until the test lets it go. */
export function gated(then: (request: ReceivedRequest) => object) {
  const gate = Promise.withResolvers<void>()
  return { open: gate.resolve, behaviour: (request: ReceivedRequest) => gate.promise.then(() => then(request)) }
}
