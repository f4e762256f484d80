import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { chmod, chown, copyFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Certificate } from './certificate-authority.ts'
import { diesWithUs } from './dies-with-us.ts'
import { eventually } from './eventually.ts'
import { freePort } from './free-port.ts'
import { findPostgresFolder } from './server-binary.ts'

/** A PostgreSQL server of the test's own, on a Unix socket in a folder of its own; nothing listens on the network, but for TLS. */
export interface PostgresServer {
  /** The process id; another one after `restart()`. */
  readonly pid: number
  /** The URL of a database of this server, whether or not there is one of that name. */
  url(database: string): string
  /** Of a server with a certificate: the URL over the network, with what else is asked for (`sslmode=…`). */
  networkUrl(database: string, host: string, query: string): string
  /** Makes an empty database, of a fresh name unless told, and returns its URL. */
  createDatabase(name?: string): Promise<string>
  /** Runs one statement as its administrator in `psql`; what it gives comes back as unaligned text. */
  sql(database: string, statement: string): string
  /** Ends the server at once, as a crash would (SIGQUIT unless told), and resolves when the process is gone. */
  kill(signal?: NodeJS.Signals): Promise<void>
  /** Starts the server again on the same data; a running one is killed first. */
  restart(): Promise<void>
  /** Kills the server and removes its folder. */
  stop(): Promise<void>
}

const READY_TIMEOUT_MS = 60_000
const USER = 'millrace'
/** It is in the name of the socket as well. */
const DEFAULT_PORT = 5432

/**
 * Makes a cluster with `initdb` and starts a real server on it. PostgreSQL refuses to run as root: then it runs as the
 * user `postgres`, which its package has made.
 *
 * @param settings more of postgresql.conf, by name
 * @param certificate listen on a port of 127.0.0.1 too, and speak TLS there to whoever asks for it
 * @throws Error naming the install command when there is no PostgreSQL server on this machine.
 */
export async function startPostgres(
  settings: Readonly<Record<string, string>> = {},
  { certificate }: { certificate?: Certificate } = {},
): Promise<PostgresServer> {
  const binaries = findPostgresFolder()
  const identity = unprivileged()
  const folder = await mkdtemp(join(tmpdir(), 'millrace-postgres-'))
  if (identity) await chown(folder, identity.uid, identity.gid)
  const data = join(folder, 'data')
  execFileSync(
    join(binaries, 'initdb'),
    ['-D', data, '-U', USER, '--auth=trust', '--no-sync', '--encoding=UTF8', '--locale=C'],
    { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'], ...identity },
  )
  const port = certificate ? await freePort() : DEFAULT_PORT
  const tls = certificate && (await tlsSettings(certificate, { folder, identity }))
  const args = ['-D', data, ...serverArguments(folder, { port: String(port), ...tls, ...settings })]
  const start = () => startServer({ binaries, args, folder, identity, port })
  return new RunningPostgres({ binaries, folder, port, start, child: await start() })
}

/** The server takes a key that nobody else can read, and only of its own user. */
async function tlsSettings(
  { certFile, keyFile }: Certificate,
  { folder, identity }: { folder: string; identity: Identity | undefined },
): Promise<Record<string, string>> {
  const [cert, key] = [join(folder, 'server.pem'), join(folder, 'server.key')] as const
  for (const [from, to] of [[certFile, cert] as const, [keyFile, key] as const]) {
    await copyFile(from, to)
    await chmod(to, 0o600)
    if (identity) await chown(to, identity.uid, identity.gid)
  }
  return { listen_addresses: '127.0.0.1', ssl: 'on', ssl_cert_file: cert, ssl_key_file: key }
}

class RunningPostgres implements PostgresServer {
  readonly #binaries: string
  readonly #folder: string
  readonly #port: number
  readonly #start: () => Promise<ChildProcess>
  #child: ChildProcess
  #databases = 0

  constructor(parts: {
    readonly binaries: string
    readonly folder: string
    readonly port: number
    readonly start: () => Promise<ChildProcess>
    readonly child: ChildProcess
  }) {
    this.#binaries = parts.binaries
    this.#folder = parts.folder
    this.#port = parts.port
    this.#start = parts.start
    this.#child = parts.child
  }

  get pid(): number {
    return this.#child.pid!
  }

  url(database: string): string {
    return `postgres://${USER}@localhost:${this.#port}/${database}?host=${encodeURIComponent(this.#folder)}`
  }

  networkUrl(database: string, host: string, query: string): string {
    return `postgres://${USER}@${host}:${this.#port}/${database}?${query}`
  }

  async createDatabase(name = `test_${++this.#databases}`): Promise<string> {
    this.sql('postgres', `CREATE DATABASE ${name}`)
    return this.url(name)
  }

  sql(database: string, statement: string): string {
    const place = ['-h', this.#folder, '-p', String(this.#port)]
    const args = [...place, '-U', USER, '-d', database, '-XqAt', '-v', 'ON_ERROR_STOP=1', '-c', statement]
    return execFileSync(join(this.#binaries, 'psql'), args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  }

  kill(signal: NodeJS.Signals = 'SIGQUIT'): Promise<void> {
    return end(this.#child, signal)
  }

  async restart(): Promise<void> {
    await this.kill()
    this.#child = await this.#start()
  }

  async stop(): Promise<void> {
    await this.kill()
    await rm(this.#folder, { recursive: true, force: true })
  }
}

interface Identity {
  readonly uid: number
  readonly gid: number
}

function unprivileged(): Identity | undefined {
  if (process.getuid?.() !== 0) return undefined
  const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }))
  return { uid: id('-u'), gid: id('-g') }
}

function serverArguments(folder: string, settings: Readonly<Record<string, string>>): string[] {
  const all = {
    listen_addresses: '',
    unix_socket_directories: folder,
    // What a crash of the machine would cost is nothing that a test can see.
    fsync: 'off',
    shared_buffers: '32MB',
    ...settings,
  }
  return Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])
}

async function startServer(setup: {
  readonly binaries: string
  readonly args: readonly string[]
  readonly folder: string
  readonly identity: Identity | undefined
  readonly port: number
}): Promise<ChildProcess> {
  const { binaries, args, folder, identity, port } = setup
  const child = spawn(join(binaries, 'postgres'), args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'], ...identity })
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
  diesWithUs(child, { folder })
  const isReady = () => {
    try {
      execFileSync(join(binaries, 'pg_isready'), ['-q', '-h', folder, '-p', String(port)], { stdio: 'ignore' })
      return true
    } catch {
      return false
    }
  }
  await eventually(() => hasEnded(child) || isReady(), {
    timeoutMs: READY_TIMEOUT_MS,
    what: 'the PostgreSQL server to accept connections',
  }).catch(async (error: unknown) => {
    await end(child, 'SIGKILL')
    throw error
  })
  if (hasEnded(child)) throw new Error(`The PostgreSQL server ended before it was ready. Its output:\n${log}`)
  return child
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (hasEnded(child)) return
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  child.kill(signal)
  await exited
}

function hasEnded(child: ChildProcess): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null
}
