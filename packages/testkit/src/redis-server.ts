import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis, type RedisOptions } from 'ioredis'
import { diesWithUs } from './dies-with-us.ts'
import { eventually } from './eventually.ts'
import { freePort } from './free-port.ts'
import { findServerBinary } from './server-binary.ts'

export interface RedisServerOptions {
  /** Off unless told: most tests want speed, and lose nothing when the server dies with them. */
  readonly appendonly?: boolean
  readonly appendfsync?: 'always' | 'everysec' | 'no'
  /** Where the server keeps its data; a fresh temporary directory, removed at `stop()`, unless given. */
  readonly dir?: string
  /** As redis.conf writes it: "8mb". */
  readonly maxmemory?: string
  readonly maxmemoryPolicy?: string
  /** More of redis.conf, for every start. */
  readonly settings?: Readonly<Record<string, string>>
}

/** A redis-server (or valkey-server) of the test's own, on a port of 127.0.0.1 and on a Unix socket. */
export interface RedisServer {
  /** `redis://127.0.0.1:<port>` */
  readonly url: string
  readonly port: number
  readonly socketPath: string
  /** The process id; another one after `restart()`. */
  readonly pid: number
  /** A new client, closed at `stop()`. It reconnects by itself, as a service's client would. */
  client(options?: RedisOptions): Redis
  /** Removes all data, keeps the server. */
  flush(): Promise<void>
  /** Sends a signal that ends the server (SIGKILL unless told) and resolves when the process is gone. */
  kill(signal?: NodeJS.Signals): Promise<void>
  /**
   * Starts the server again on the same port and the same data; a running one is killed first.
   *
   * @param settings more of redis.conf, for this start alone
   * @param until `loading`: resolves as soon as the server listens, when it may still be reading its data
   */
  restart(options?: { settings?: Readonly<Record<string, string>>; until?: 'ready' | 'loading' }): Promise<void>
  /** Closes the clients, kills the server, removes its directory. */
  stop(): Promise<void>
}

// Another test file may take the port between our look and the server's bind.
const MAX_START_TRIES = 5
const READY_TIMEOUT_MS = 60_000

/**
 * Starts a real server and resolves when it answers PING. `noeviction`, no persistence and no configuration file unless
 * told otherwise.
 *
 * @throws Error naming the install command when neither redis-server nor valkey-server is on PATH.
 */
export async function startRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  const binary = findServerBinary()
  const temporaryDir = await mkdtemp(join(tmpdir(), 'millrace-redis-'))
  const socketPath = join(temporaryDir, 'redis.sock')
  const dir = options.dir ?? temporaryDir
  for (let tries = 1; ; tries++) {
    const port = await freePort()
    const start: Start = ({ settings = {}, until = 'ready' } = {}) => {
      const args = serverArguments({ port, socketPath, dir, options, settings })
      return startServer({
        binary,
        args,
        port,
        temporaryDir,
        isUp: until === 'ready' ? /^\+PONG/ : /^(\+PONG|-LOADING)/,
      })
    }
    try {
      return new RunningRedis({ port, socketPath, temporaryDir, start, child: await start() })
    } catch (error) {
      if (tries < MAX_START_TRIES && String(error).includes('Address already in use')) continue
      await rm(temporaryDir, { recursive: true, force: true })
      throw error
    }
  }
}

type Start = (options?: Parameters<RedisServer['restart']>[0]) => Promise<ChildProcess>

class RunningRedis implements RedisServer {
  readonly url: string
  readonly port: number
  readonly socketPath: string
  readonly #temporaryDir: string
  readonly #start: Start
  readonly #clients = new Set<Redis>()
  #child: ChildProcess

  constructor(parts: {
    readonly port: number
    readonly socketPath: string
    readonly temporaryDir: string
    readonly start: Start
    readonly child: ChildProcess
  }) {
    this.url = `redis://127.0.0.1:${parts.port}`
    this.port = parts.port
    this.socketPath = parts.socketPath
    this.#temporaryDir = parts.temporaryDir
    this.#start = parts.start
    this.#child = parts.child
  }

  get pid(): number {
    return this.#child.pid!
  }

  client(options: RedisOptions = {}): Redis {
    const client = new Redis({ host: '127.0.0.1', port: this.port, ...options })
    // A test that kills the server expects connection errors; without a listener ioredis prints each of them.
    client.on('error', () => {})
    client.once('end', () => this.#clients.delete(client))
    this.#clients.add(client)
    return client
  }

  async flush(): Promise<void> {
    const client = this.client()
    await client.flushall('SYNC')
    client.disconnect()
  }

  kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    return endServer(this.#child, signal)
  }

  async restart(options?: Parameters<RedisServer['restart']>[0]): Promise<void> {
    await this.kill()
    this.#child = await this.#start(options)
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.disconnect()
    this.#clients.clear()
    await this.kill()
    await rm(this.#temporaryDir, { recursive: true, force: true })
  }
}

function serverArguments(setup: {
  readonly port: number
  readonly socketPath: string
  readonly dir: string
  readonly options: RedisServerOptions
  readonly settings: Readonly<Record<string, string>>
}): string[] {
  const { options } = setup
  const settings: Record<string, string> = {
    port: String(setup.port),
    bind: '127.0.0.1',
    unixsocket: setup.socketPath,
    unixsocketperm: '700',
    dir: setup.dir,
    ...(options.settings?.['cluster-enabled'] !== 'yes' && { databases: '16' }),
    save: '',
    appendonly: options.appendonly ? 'yes' : 'no',
    'maxmemory-policy': options.maxmemoryPolicy ?? 'noeviction',
  }
  if (options.appendfsync) settings.appendfsync = options.appendfsync
  if (options.maxmemory) settings.maxmemory = options.maxmemory
  // What is several words in redis.conf is several arguments here.
  return Object.entries({ ...settings, ...options.settings, ...setup.settings }).flatMap(([name, value]) => [
    `--${name}`,
    ...value.split(' '),
  ])
}

/** Starts a server with these arguments and resolves when it answers PING as `isUp` says; its folder goes when it does. */
export async function startServer(setup: {
  readonly binary: string
  readonly args: readonly string[]
  readonly port: number
  readonly temporaryDir: string
  readonly isUp: RegExp
}): Promise<ChildProcess> {
  const { binary, args, port, temporaryDir, isUp } = setup
  const child = spawn(binary, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let log = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      // The end of the log is enough to explain a start that failed.
      log = (log + text).slice(-4_000)
    })
  }
  child.on('error', (error) => {
    log += error.message
  })
  diesWithUs(child, { folder: temporaryDir })
  await eventually(async () => hasEnded(child) || isUp.test(await answerToPing(port)), {
    timeoutMs: READY_TIMEOUT_MS,
    what: `${binary} on port ${port} to answer PING`,
  }).catch(async (error: unknown) => {
    await endServer(child, 'SIGKILL')
    throw error
  })
  if (hasEnded(child)) throw new Error(`${binary} ended before it was ready. Its output:\n${log}`)
  return child
}

/** Spoken by hand: a Redis client would retry by itself and hide when the server is really there. */
function answerToPing(port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host: '127.0.0.1' }, () => socket.write('PING\r\n'))
    // While it reads its append-only file the server answers "-LOADING", which is not ready.
    socket.once('data', (answer) => socket.destroy() && resolve(answer.toString()))
    socket.once('error', () => resolve(''))
    socket.once('close', () => resolve(''))
  })
}

export async function endServer(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (hasEnded(child)) return
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  child.kill(signal)
  await exited
}

function hasEnded(child: ChildProcess): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null
}
