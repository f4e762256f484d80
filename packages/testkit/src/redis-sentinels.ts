import type { ChildProcess } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { eventually } from './eventually.ts'
import { freePort } from './free-port.ts'
import { endServer, type RedisServer, type RedisServerOptions, startRedis, startServer } from './redis-server.ts'
import { findServerBinary } from './server-binary.ts'

export interface RedisSentinelsOptions extends RedisServerOptions {
  /** A primary that is silent for so long is taken for dead. */
  readonly downAfterMs?: number
}

/** A primary and a replica of the test's own, with three sentinels that put the one in the other's place. */
export interface RedisSentinels {
  /** `redis+sentinel://127.0.0.1:<port>,…/mymaster` */
  readonly url: string
  readonly servers: readonly RedisServer[]
  /** Who is the primary, as the first sentinel says it. */
  primary(): Promise<RedisServer>
  /**
   * `kill -9` of the primary; the answer starts it again, once the other one has taken over, and resolves when it is in step. It comes back
   * as the primary that it was, and sentinels take ten seconds to make it a replica, unless it is started as one.
   */
  killPrimary(): Promise<(options?: { readonly asReplica?: boolean }) => Promise<void>>
  /**
   * Puts the replica in the place of a primary that is well, as an operator does before maintenance; the answer is the one that was
   * replaced, which takes itself for a primary for ten more seconds.
   */
  switchOver(): Promise<RedisServer>
  /** Has the sentinels ask new connections for this password. */
  setSentinelPassword(password: string): Promise<void>
  /** Resolves when one server is the primary and the other has what it has. */
  untilInStep(): Promise<void>
  /** `kill -9` of the servers and the sentinels. */
  killAll(): Promise<void>
  stop(): Promise<void>
}

const NAME = 'mymaster'
const SENTINELS = 3
/** So many have to agree that it is dead. */
const QUORUM = 2
const IN_STEP_MS = 60_000
const TAKE_OVER_MS = 60_000
/** A failover that did not come about is tried again after so long; sentinels wait as long before they make the old primary a replica. */
const FAILOVER_TIMEOUT_MS = 3000

export async function startRedisSentinels(options: RedisSentinelsOptions = {}): Promise<RedisSentinels> {
  const { downAfterMs = 1000, ...server } = options
  const servers = await Promise.all(
    [0, 1].map(() => startRedis({ ...server, settings: { 'repl-diskless-sync-delay': '0', ...server.settings } })),
  )
  const [first, second] = servers as [RedisServer, RedisServer]
  await second.client().replicaof('127.0.0.1', first.port)
  const sentinels: Sentinel[] = []
  try {
    for (let number = 0; number < SENTINELS; number++) sentinels.push(await startSentinel(first.port, downAfterMs))
    const watched = new Watched(servers, sentinels)
    await watched.untilInStep()
    return watched
  } catch (error) {
    await Promise.all([...sentinels, ...servers].map((each) => each.stop()))
    throw error
  }
}

interface Sentinel {
  readonly port: number
  kill(): Promise<void>
  stop(): Promise<void>
}

async function startSentinel(primaryPort: number, downAfterMs: number): Promise<Sentinel> {
  const port = await freePort()
  const folder = await mkdtemp(join(tmpdir(), 'millrace-sentinel-'))
  const file = join(folder, 'sentinel.conf')
  const settings = [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir ${folder}`,
    `sentinel monitor ${NAME} 127.0.0.1 ${primaryPort} ${QUORUM}`,
    `sentinel down-after-milliseconds ${NAME} ${downAfterMs}`,
    `sentinel failover-timeout ${NAME} ${FAILOVER_TIMEOUT_MS}`,
  ]
  // A sentinel writes what it learns into its file.
  await writeFile(file, `${settings.join('\n')}\n`)
  const child: ChildProcess = await startServer({
    ...{ binary: findServerBinary(), args: [file, '--sentinel'], port, temporaryDir: folder, isUp: /^\+PONG/ },
  })
  const kill = () => endServer(child, 'SIGKILL')
  return {
    ...{ port, kill },
    async stop() {
      await kill()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

class Watched implements RedisSentinels {
  readonly url: string
  readonly servers: readonly RedisServer[]
  readonly #sentinels: readonly Sentinel[]

  constructor(servers: readonly RedisServer[], sentinels: readonly Sentinel[]) {
    this.servers = servers
    this.#sentinels = sentinels
    this.url = `redis+sentinel://${sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')}/${NAME}`
  }

  async primary(): Promise<RedisServer> {
    const address = await this.#askFirst('GET-MASTER-ADDR-BY-NAME', NAME)
    const port = Number((address as string[])[1])
    const found = this.servers.find((server) => server.port === port)
    if (!found) throw new Error(`No server of these has port ${port}`)
    return found
  }

  async killPrimary(): Promise<(options?: { readonly asReplica?: boolean }) => Promise<void>> {
    const primary = await this.primary()
    await primary.kill()
    return async ({ asReplica = false } = {}) => {
      const { port } = await this.#untilReplaced(primary)
      await primary.restart(asReplica ? { settings: { replicaof: `127.0.0.1 ${port}` } } : {})
      await this.untilInStep()
    }
  }

  async switchOver(): Promise<RedisServer> {
    const primary = await this.primary()
    // A replica that has just come up is none to promote until the sentinel has asked it again.
    await eventually(() => this.#askFirst('FAILOVER', NAME), { intervalMs: 100, what: 'a failover to begin' })
    await this.#untilReplaced(primary)
    return primary
  }

  #untilReplaced(primary: RedisServer): Promise<RedisServer> {
    return eventually(
      async () => {
        const now = await this.primary()
        return now !== primary && now
      },
      { timeoutMs: TAKE_OVER_MS, intervalMs: 50, what: 'the replica to take over' },
    )
  }

  async setSentinelPassword(password: string): Promise<void> {
    for (const { port } of this.#sentinels) {
      await ask(port, (redis) => redis.call('ACL', 'SETUSER', 'default', 'resetpass', `>${password}`))
    }
  }

  async untilInStep(): Promise<void> {
    await eventually(
      async () => {
        // A sentinel that has not heard of the others and of the replica could not agree on a failover.
        for (const sentinel of this.#sentinels) {
          const fields = (await ask(sentinel.port, (redis) => redis.call('SENTINEL', 'MASTER', NAME))) as string[]
          const field = (name: string) => fields[fields.indexOf(name) + 1]
          if (field('num-other-sentinels') !== String(SENTINELS - 1) || field('num-slaves') !== '1') return false
        }
        const { port } = await this.primary()
        const info = await ask(port, (redis) => redis.info('replication'))
        return /^role:master/m.test(info) && /^slave0:.*state=online/m.test(info)
      },
      { timeoutMs: IN_STEP_MS, intervalMs: 50, what: 'the replica to be in step with the primary' },
    )
  }

  async killAll(): Promise<void> {
    await Promise.all([...this.#sentinels, ...this.servers].map((each) => each.kill()))
  }

  #askFirst(...words: [string, ...string[]]): Promise<unknown> {
    return ask((this.#sentinels[0] as Sentinel).port, (redis) => redis.call('SENTINEL', ...words))
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#sentinels, ...this.servers].map((each) => each.stop()))
  }
}

async function ask<T>(port: number, question: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis({ host: '127.0.0.1', port, retryStrategy: null, enableReadyCheck: false })
  redis.on('error', () => undefined)
  try {
    return await question(redis)
  } finally {
    redis.disconnect()
  }
}
