import { connect } from 'node:net'
import type { Service } from '@millrace/contracts'
import { type Finding, fail, ok } from './finding.ts'

const TIMEOUT_MS = 3000

/**
 * Whether something listens where each service's deliveries go. No request is made: it would be taken for work. Seen from this
 * machine, so the command belongs where the dispatcher runs.
 */
export async function checkEndpoints(services: readonly Service[]): Promise<Finding[]> {
  const targets = services.flatMap(({ namespace, url, queues, subscriptions = [] }) => {
    const pushed = [...queues, ...subscriptions].filter(({ delivery }) => delivery !== 'pull')
    const origins = new Set(pushed.map(({ sink }) => new URL(sink ?? url).origin))
    return [...origins].map((origin) => ({ namespace, origin }))
  })
  return Promise.all(
    targets.map(async ({ namespace, origin }) => {
      const check = `endpoint.${namespace}`
      const reason = await unreachable(new URL(origin))
      if (reason === undefined) return ok(check, `${origin} listens`)
      const fix = `Start the service, or apply its manifest with the address where it listens: millrace apply … --service-url.`
      return fail(check, `${origin} cannot be reached (${reason})`, fix)
    }),
  )
}

function unreachable({ hostname, port, protocol }: URL): Promise<string | undefined> {
  const host = hostname.replace(/^\[|\]$/g, '')
  return new Promise((resolve) => {
    const socket = connect({ host, port: port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port) })
    const end = (reason?: string) => {
      socket.destroy()
      resolve(reason)
    }
    socket.setTimeout(TIMEOUT_MS, () => end(`no answer within ${TIMEOUT_MS / 1000} s`))
    socket.once('connect', () => end())
    socket.once('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message))
  })
}
