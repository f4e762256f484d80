/**
 * Spans of what is sent and what is processed, by OpenTelemetry's conventions for messaging. Who has no tracer calls none of this.
 *
 * ```ts
 * const span = startSend(tracer, { operation: 'enqueue', destination: 'shop/mail' })
 * await post('/jobs', { headers: span.carrier })
 * span.end({ 'messaging.message.id': id })
 * ```
 */
export { carrierOf, contextIn, spanContextIn, type TraceCarrier } from './carrier.ts'
export { failSpan, reasonOf } from './failure.ts'
export { type MessagingOperation, messagingSpan } from './messaging-span.ts'
export { type Processed, startProcess } from './process-span.ts'
export { type SendSpan, type Sent, startSend } from './send-span.ts'
