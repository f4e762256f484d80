/** Requests that change something need a name: who acts in tests that are about something else. */
export const BY = { who: 'ada', why: 'a test' } as const

const OPERATOR_PATHS = [
  /^\/(queues|services|subscriptions|redrives|replays|schedules|secrets)\//,
  /^\/subscriptions$/,
  /^\/dead-letters\/redrive$/,
  /^\/jobs\/[^/]+\/(cancel|reschedule|retry)$/,
]
const ASKING = /^\/(subscriptions\/try|schedules\/preview)$/

/** The body with `BY` filled in where the request is an operator's and says nobody. */
export function withBy(method: string, path: string, body: unknown): unknown {
  const isOperators = method !== 'GET' && !ASKING.test(path) && OPERATOR_PATHS.some((pattern) => pattern.test(path))
  if (!isOperators || typeof body !== 'object' || body === null || Array.isArray(body)) return body
  return { ...BY, ...body }
}
