import { isIP } from 'node:net'

/** What is wrong with listening on a host, undefined when nothing is: without locks only this machine may come in. */
export function hostComplaint({ host, guarded }: { host: string; guarded: boolean }): string | undefined {
  if (guarded || isLoopback(host)) return undefined
  return [
    `MILLRACE_HOST=${host} would let everybody who reaches this machine hand in, cancel and read jobs, because no`,
    'authentication is configured. Set MILLRACE_ADMIN_KEY (32 characters or more, for example from `openssl rand -hex 32`),',
    'or MILLRACE_JWKS_URL for tokens of your identity provider; or listen on 127.0.0.1.',
  ].join('\n')
}

/** Whether a host to listen on is one that only this machine reaches. */
export function isLoopback(host: string): boolean {
  if (host === 'localhost') return true
  const version = isIP(host)
  if (version === 4) return host.startsWith('127.')
  return version === 6 && new URL(`http://[${host}]`).hostname === '[::1]'
}
