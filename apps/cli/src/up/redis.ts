import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { StartError } from '@millrace/runtime'
import { connect, whenReady } from '@millrace/streams'
import { type Kept, startKept } from './keeper.ts'
import { lastLines } from './log-file.ts'

export interface EmbeddedRedis {
  readonly kept: Kept
  readonly url: string
}

/** A Unix socket's path may have about a hundred characters; a longer one is put into the temporary folder. */
const MAX_SOCKET_PATH = 100
const START_DEADLINE_MS = 30_000

/**
 * Start the embedded server: a private socket and no port, every write on disk before it is answered, nothing ever
 * evicted. With `appendfsync always` a batch of jobs shares one fsync, so durability costs a fraction of what one fsync
 * per job would.
 */
export async function startEmbeddedRedis({
  home,
  env,
}: {
  home: string
  env: NodeJS.ProcessEnv
}): Promise<EmbeddedRedis> {
  const folder = join(home, 'redis')
  mkdirSync(folder, { recursive: true })
  chmodSync(folder, 0o700)
  const socket = socketPath(folder)
  const logFile = join(home, 'logs', 'redis.log')
  const settings = {
    port: '0',
    unixsocket: socket,
    unixsocketperm: '700',
    dir: folder,
    appendonly: 'yes',
    appendfsync: 'always',
    'maxmemory-policy': 'noeviction',
    save: '',
    daemonize: 'no',
  }
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value])
  const kept = startKept({ name: 'redis', command: findServer(env), args, env, logFile })
  const url = `unix://${socket}`
  await Promise.race([
    answering(url),
    kept.exited.then((code) => {
      throw new StartError(`The embedded redis-server ended with code ${code}:\n${lastLines(logFile, 5)}`)
    }),
  ])
  return { kept, url }
}

async function answering(url: string): Promise<void> {
  const redis = connect({ url, role: 'up' })
  try {
    await whenReady(redis, { timeoutMs: START_DEADLINE_MS })
  } finally {
    redis.disconnect()
  }
}

/** Where the embedded server of a data folder listens. */
export function socketPath(folder: string): string {
  const path = join(folder, 'redis.sock')
  if (path.length <= MAX_SOCKET_PATH) return path
  const name = createHash('sha256').update(folder).digest('hex').slice(0, 16)
  return join(tmpdir(), `millrace-${name}.sock`)
}

function findServer(env: NodeJS.ProcessEnv): string {
  for (const name of ['redis-server', 'valkey-server']) {
    if (spawnSync(name, ['--version'], { env, stdio: 'ignore' }).status === 0) return name
  }
  throw new StartError(
    [
      'There is no redis-server or valkey-server on this machine. Install one, or set REDIS_URL to a server elsewhere:',
      '  Debian, Ubuntu  sudo apt-get install -y redis-server',
      '  macOS           brew install redis',
    ].join('\n'),
  )
}
