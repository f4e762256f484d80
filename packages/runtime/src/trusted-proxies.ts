import { isIP } from 'node:net'
import { z } from 'zod'

/**
 * `MILLRACE_TRUSTED_PROXIES`: whose `X-Forwarded-For` is believed, as addresses and ranges. None unless told: a client can
 * write that header as well, and would choose the address that is recorded and limited.
 */
export const trustedProxiesConfig = z
  .string()
  .default('')
  .transform((text, context) => {
    const parts = text
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== '')
    for (const part of parts.filter((part) => !isRange(part))) {
      const message = `expected addresses and ranges such as 10.0.0.7,10.1.0.0/16, got "${part}"`
      context.addIssue({ code: 'custom', message })
    }
    return parts
  })

function isRange(text: string): boolean {
  const [address = '', bits, ...more] = text.split('/')
  const version = isIP(address)
  if (version === 0 || more.length > 0) return false
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128))
}
