import { randomBytes, randomUUID } from 'node:crypto'
import { buildDelivery, createSigningKey } from '@millrace/engine'
import { headersIn } from '@millrace/testkit'
import { queueDefinition } from './millrace.ts'
import { DATA } from './payload.ts'

export interface Delivery {
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** A delivery with all its headers, as the dispatcher makes it. */
export function deliveryRequest(queue: string, { concurrency }: { concurrency: number }): Delivery {
  const id = 'job_0193a1b2c3d0000c002'
  const job = { id, attempt: 1, epoch: 1, data: JSON.stringify(DATA), token: randomUUID() }
  const definition = queueDefinition(queue, { concurrency })
  const { timeoutMs } = definition
  const request = buildDelivery(job, { definition, maxAttempts: 4, timeoutMs, nowMs: Date.now() })
  const sign = createSigningKey(`whsec_${randomBytes(32).toString('base64')}`)
  return { headers: { ...headersIn(request.lines), 'webhook-signature': sign(request) }, body: request.body }
}
