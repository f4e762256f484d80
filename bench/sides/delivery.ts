import { randomBytes, randomUUID } from 'node:crypto'
import { buildDelivery, createSigningKey, type DeliveryRequest } from '@millrace/engine'
import { queueDefinition } from './millrace.ts'
import { DATA } from './payload.ts'

/** The request of a delivery with all its headers, as the dispatcher makes it. */
export function deliveryRequest(queue: string, { concurrency }: { concurrency: number }): DeliveryRequest {
  const id = 'job_0193a1b2c3d0000c002'
  const job = { id, attempt: 1, epoch: 1, data: JSON.stringify(DATA), token: randomUUID() }
  const definition = queueDefinition(queue, { concurrency })
  const { timeoutMs } = definition
  const { headers, body } = buildDelivery(job, { definition, maxAttempts: 4, timeoutMs, nowMs: Date.now() })
  const sign = createSigningKey(`whsec_${randomBytes(32).toString('base64')}`)
  const signature = sign({ id, timestamp: String(headers['webhook-timestamp']), body })
  return { headers: { ...headers, 'webhook-signature': signature }, body }
}
