/** A CloudEvent of the platform, as a subscription gets it. */
export interface PlatformEvent {
  readonly type: string
  readonly subject?: string
  readonly namespace?: string
  readonly queue?: string
  readonly data: Readonly<Record<string, unknown>>
}

/** What the chat shows of an event, in one line. */
export function alertText({ type, subject, namespace, queue, data }: PlatformEvent): string {
  const place = [namespace, queue].filter(Boolean).join('/')
  switch (type) {
    case 'job.dead_lettered':
      return `Dead letter in ${place}: ${subject} after ${data.attempts} attempts (${data.reason})`
    case 'breaker.opened':
      return `${place} is paused: ${data.origin} gives no usable answers`
    case 'schedule.missed':
      return `${place} missed ${data.count} of its times, from ${data.from} to ${data.to}`
    default:
      return `${type} in ${place}`
  }
}
