import type { Key, Service, SigningSecret } from '@millrace/contracts'
import { isLoopback } from '@millrace/runtime'
import { collectPages } from '../list-pages.ts'
import { type Finding, fail, ok, skipped, unless, warn } from './finding.ts'

const TIMEOUT_MS = 5000
const SOON_MS = 7 * 86_400_000

export interface Asked {
  readonly dispatcher: string
  readonly apiKey: string | undefined
}

/** Whether strangers are kept out, and whether our own key opens; with it, the services that there are. */
export async function checkAccess({
  dispatcher,
  apiKey,
}: Asked): Promise<{ findings: Finding[]; services: Service[] }> {
  try {
    const stranger = await get(dispatcher, '/services', undefined)
    if (stranger.status === 200)
      return { findings: [open(dispatcher)], services: await all<Service>(stranger, 'services', undefined) }
    const closed = ok('access.strangers', 'whoever has no key is refused')
    if (apiKey === undefined) {
      const fix = 'Set MILLRACE_API_KEY to a key with operator:* and auditor:*.'
      return { findings: [closed, skipped('access.key', 'there is no key to look further with', fix)], services: [] }
    }
    const ours = await get(dispatcher, '/services', apiKey)
    if (ours.status !== 200) {
      const says = `our key is refused with ${ours.status}`
      const fix = 'Correct MILLRACE_API_KEY: it may have ended, been revoked, or be for one namespace only.'
      return { findings: [closed, fail('access.key', says, fix)], services: [] }
    }
    const services = await all<Service>(ours, 'services', apiKey)
    return { findings: [closed, ok('access.key', 'our key is taken'), await keys(dispatcher, apiKey)], services }
  } catch {
    // That the dispatcher is away is said where it is looked at.
    return { findings: [skipped('access.strangers', 'the dispatcher does not answer', 'Start it.')], services: [] }
  }
}

/** Whether each service has a secret that its deliveries are signed with. */
export async function checkSigning(services: readonly Service[], { dispatcher, apiKey }: Asked): Promise<Finding[]> {
  return Promise.all(
    services.map(async ({ namespace }) => {
      const check = `signing.${namespace}`
      const answer = await get(dispatcher, `/services/${namespace}/secrets`, apiKey)
      if (answer.status !== 200)
        return skipped(check, `its secrets may not be listed (${answer.status})`, 'Use a key with auditor:*.')
      const { secrets } = (await answer.json()) as { secrets: SigningSecret[] }
      const fix = `millrace secrets rotate ${namespace}, and let the service verify with it: docs/verifying.md.`
      return unless(
        check,
        'deliveries are signed',
        secrets.length === 0 &&
          warn(check, 'deliveries are not signed: the service cannot tell them from forged ones', fix),
      )
    }),
  )
}

function open(dispatcher: string): Finding {
  const fix = 'Set MILLRACE_ADMIN_KEY or MILLRACE_JWKS_URL for all apps: docs/access.md.'
  const says = 'whoever reaches the port may do everything'
  const { hostname } = new URL(dispatcher)
  return isLoopback(hostname.replace(/^\[|\]$/g, ''))
    ? warn('access.strangers', `${says}; only this machine does`, fix)
    : fail('access.strangers', says, fix)
}

async function keys(dispatcher: string, apiKey: string): Promise<Finding> {
  const check = 'access.keys'
  const answer = await get(dispatcher, '/keys', apiKey)
  if (answer.status !== 200) return skipped(check, 'keys may not be listed', 'Use a key with auditor:*.')
  const live = (await all<Key>(answer, 'keys', apiKey)).filter(
    ({ expiresAt, revokedAt }) => revokedAt === undefined && !(expiresAt && Date.parse(expiresAt) < Date.now()),
  )
  const ending = live.filter(({ expiresAt }) => expiresAt && Date.parse(expiresAt) < Date.now() + SOON_MS)
  if (ending.length > 0)
    return warn(
      check,
      `${ending.map(({ name }) => name).join(', ')} will end within a week`,
      'millrace keys rotate <id>.',
    )
  const fix = 'millrace keys create <name> --grant …, one per service: the admin key is for people.'
  return unless(check, `${live.length} keys`, live.length === 0 && warn(check, 'there is none but the admin key', fix))
}

/** The items of this answer and of the pages behind it. */
function all<Item>(first: Response, member: string, apiKey: string | undefined): Promise<Item[]> {
  return collectPages<Item>(first, {
    member,
    async next(address) {
      const answer = await get(first.url, address, apiKey)
      if (answer.status === 200) return answer
      throw new Error(`${address} answered ${answer.status} after a page before it was given.`)
    },
  })
}

function get(url: string, path: string, apiKey: string | undefined): Promise<Response> {
  const headers: Record<string, string> = apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }
  return fetch(new URL(path, url), { headers, signal: AbortSignal.timeout(TIMEOUT_MS) })
}
