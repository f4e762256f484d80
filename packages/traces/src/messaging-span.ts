/**
 * What each span of ours says of its job, by OpenTelemetry's conventions for messaging: the operation's own name, and
 * the type that the conventions know.
 */
const OPERATIONS = {
  send: 'send',
  enqueue: 'send',
  publish: 'send',
  emit: 'send',
  tick: 'send',
  deliver: 'process',
  process: 'process',
} as const

export type MessagingOperation = keyof typeof OPERATIONS

/** Name and attributes of a span, `destination` being the address of a queue, as in `shop/mail`, or a namespace. */
export function messagingSpan(operation: MessagingOperation, destination: string | undefined) {
  return {
    name: destination === undefined ? operation : `${operation} ${destination}`,
    attributes: {
      'messaging.system': 'millrace',
      'messaging.operation.name': operation,
      'messaging.operation.type': OPERATIONS[operation],
      ...(destination !== undefined && { 'messaging.destination.name': destination }),
    },
  }
}
