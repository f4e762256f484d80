import { REQUEST_LIMITS } from '@millrace/contracts'
import { z } from 'zod'

/** Proxies and load balancers commonly cut a silent request after a minute. */
const MAX_WAIT_MS = REQUEST_LIMITS.waitSeconds.value * 1000

/** `?wait=`: `30s`, or milliseconds as `5000` or `5000ms`. */
export const waitSchema = z
  .string()
  .regex(/^\d{1,6}(?:ms|s)?$/, 'must be seconds such as 30s, or milliseconds such as 5000')
  .transform(toMs)
  .refine((ms) => ms <= MAX_WAIT_MS, `must not be longer than ${MAX_WAIT_MS / 1000}s`)

function toMs(text: string): number {
  const value = Number.parseInt(text, 10)
  return text.endsWith('s') && !text.endsWith('ms') ? value * 1000 : value
}
