import type { EnqueueRequest } from '@millrace/contracts'
import type { Tracing } from '@millrace/runtime'
import { fullAddress } from '@millrace/streams'
import { startSend } from '@millrace/traces'
import type { Accepted } from './accepted.ts'
import type { RequestHeaders } from './job-request.ts'

/** Enqueues under a span, where there are traces. What is accepted gets the headers with the context that its jobs carry. */
export interface EnqueueTraces {
  one(
    request: Pick<EnqueueRequest, 'namespace' | 'queue'>,
    headers: RequestHeaders,
    accept: (headers: RequestHeaders) => Promise<Accepted>,
  ): Promise<Accepted>
  /** One span for all jobs of a batch, which share its context: a span for each would drown what they are made for. */
  many<Result>(
    jobs: number,
    headers: RequestHeaders,
    accept: (headers: RequestHeaders) => Promise<Result>,
  ): Promise<Result>
}

export function createEnqueueTraces(tracing: Tracing | undefined): EnqueueTraces {
  if (!tracing)
    return { one: (_request, headers, accept) => accept(headers), many: (_jobs, headers, accept) => accept(headers) }
  const { tracer } = tracing
  return {
    async one({ namespace, queue }, headers, accept) {
      const span = startSend(tracer, {
        operation: 'enqueue',
        destination: fullAddress(namespace, queue),
        carrier: headers,
      })
      try {
        const accepted = await accept({ ...headers, ...span.carrier })
        const { id, deduplicated } = accepted
        span.end({
          'messaging.message.id': id,
          ...(deduplicated !== undefined && { 'messaging.millrace.deduplicated': deduplicated }),
        })
        return accepted
      } catch (error) {
        span.fail(error)
        throw error
      }
    },
    async many(jobs, headers, accept) {
      const attributes = { 'messaging.batch.message_count': jobs }
      const span = startSend(tracer, { operation: 'enqueue', carrier: headers, attributes })
      try {
        const result = await accept({ ...headers, ...span.carrier })
        span.end()
        return result
      } catch (error) {
        span.fail(error)
        throw error
      }
    },
  }
}
