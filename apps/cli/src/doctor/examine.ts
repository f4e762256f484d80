import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { readRedisUrl } from '@millrace/contracts'
import { certificateAdvice } from '@millrace/contracts/certificate-advice'
import { isLoopback } from '@millrace/runtime'
import { clusterServers, connect, whenReady } from '@millrace/streams'
import type { Config } from '../config.ts'
import { socketPath } from '../up/redis.ts'
import { checkAccess, checkSigning } from './access-checks.ts'
import { type App, checkApps } from './app-checks.ts'
import { redisAheadMs } from './clock.ts'
import { checkCluster } from './cluster-checks.ts'
import { checkEndpoints } from './endpoint-checks.ts'
import { type Finding, fail, ok, skipped } from './finding.ts'
import { checkPrometheus } from './prometheus-checks.ts'
import { checkRedis, layout } from './redis-checks.ts'

const REDIS_TIMEOUT_MS = 5000

export interface Deployment {
  readonly config: Config
  readonly urls: Readonly<Record<App, string>>
  readonly prometheus: string | undefined
}

/** Everything that can be found out about a deployment without changing it. */
export async function examine({ config, urls, prometheus }: Deployment): Promise<Finding[]> {
  const redis = await examineRedis(config)
  const asked = { dispatcher: urls.dispatcher, apiKey: config.apiKey }
  const [apps, access] = await Promise.all([checkApps(urls, redis), checkAccess(asked)])
  const [signing, endpoints, watched] = await Promise.all([
    checkSigning(access.services, asked),
    checkEndpoints(access.services),
    checkPrometheus(prometheus),
  ])
  return [...redis.findings, ...apps, ...access.findings, ...masterKey(config), ...signing, ...endpoints, ...watched]
}

async function examineRedis(config: Config): Promise<{ findings: Finding[]; redisAheadMs: number }> {
  const socket = socketPath(join(config.home, 'redis'))
  const url = config.redisUrl ?? (existsSync(socket) ? `unix://${socket}` : undefined)
  if (url === undefined) {
    const says = `there is neither REDIS_URL nor an embedded server in ${config.home}`
    return { findings: [skipped('redis', says, 'Set REDIS_URL as the apps have it.')], redisAheadMs: 0 }
  }
  const redis = connect({ url, role: 'doctor' })
  try {
    await whenReady(redis, { timeoutMs: REDIS_TIMEOUT_MS })
    const servers = await clusterServers(url)
    const findings = servers
      ? [...(await checkCluster(redis, servers)), await layout(redis)]
      : await checkRedis(redis, { isLocal: isLocal(url) })
    return { findings, redisAheadMs: await redisAheadMs(redis) }
  } catch (error) {
    const { message: says, cause } = error as Error
    const fix = certificateAdvice(cause) ?? 'Start Redis, or correct REDIS_URL.'
    return { findings: [fail('redis', says, fix)], redisAheadMs: 0 }
  } finally {
    redis.disconnect()
  }
}

/** Nobody but this machine reaches it. */
function isLocal(url: string): boolean {
  const address = readRedisUrl(url)
  if (url.startsWith('unix:')) return true
  return address.kind === 'sentinel'
    ? address.sentinels.every(({ host }) => isLoopback(host))
    : isLoopback(new URL(url).hostname)
}

/** The file that a platform on one machine seals its secrets with. */
function masterKey({ home }: Config): Finding[] {
  const file = join(home, 'master.key')
  if (!existsSync(file)) return []
  const mode = statSync(file).mode & 0o777
  if ((mode & 0o077) === 0) return [ok('signing.master-key', 'only its owner reads it')]
  return [fail('signing.master-key', `${file} can be read by others (mode ${mode.toString(8)})`, `chmod 600 ${file}`)]
}
