import { Worker } from 'node:worker_threads'
import type { DatabaseConnection, Dialect } from 'kysely'
import { DummyDriver, Kysely, SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler } from 'kysely'
import type { Fault } from './node-sqlite.ts'
import type { AuditDatabase } from './schema.ts'
import { StoreError } from './store-error.ts'

export interface WriterSettings {
  readonly path: string
  /** Run when the file is opened. */
  readonly pragmas: readonly string[]
}

/** What the thread does. Rows travel as columns or arrays: objects would have their names copied with each of them. */
export type Work =
  | { readonly kind: 'begin' }
  | { readonly kind: 'commit' }
  | { readonly kind: 'rollback' }
  | { readonly kind: 'close' }
  | { readonly kind: 'sql'; readonly sql: string; readonly parameters: readonly unknown[] }
  | { readonly kind: 'find'; readonly sql: string; readonly keys: readonly (readonly unknown[])[] }
  | { readonly kind: 'save'; readonly sql: string; readonly columns: readonly (readonly unknown[])[] }
export interface Request {
  readonly id: number
  readonly work: Work
}
export type Reply = { readonly id: number } & ({ readonly result: unknown } | { readonly fault: Fault })

/**
 * The connection that writes into a SQLite file, in a thread of its own, so that this one goes on while it writes. Should
 * the thread die, what was asked of it fails with a `StoreError`, its transaction is gone, and the next `begin` starts another.
 */
export interface SqliteThread {
  begin(): Promise<void>
  commit(): Promise<void>
  rollback(): Promise<void>
  /** The rows that are found, each as an array of its columns. */
  find(sql: string, keys: readonly (readonly unknown[])[]): Promise<unknown[][]>
  /** The statement once for each row; `columns` are as long as there are rows. */
  save(sql: string, columns: readonly (readonly unknown[])[]): Promise<void>
  readonly db: Kysely<AuditDatabase>
  /** What is asked after it fails. */
  close(): Promise<void>
}

/** @throws StoreError when the file cannot be opened. */
export async function startSqliteThread(settings: WriterSettings): Promise<SqliteThread> {
  let worker = await startWorker(settings)
  let closed = false
  return {
    async begin() {
      if (worker.ended() && !closed) worker = await startWorker(settings)
      await worker.ask({ kind: 'begin' })
    },
    commit: () => worker.ask({ kind: 'commit' }) as Promise<void>,
    rollback: () => worker.ask({ kind: 'rollback' }) as Promise<void>,
    find: (sql, keys) => worker.ask({ kind: 'find', sql, keys }) as Promise<unknown[][]>,
    save: (sql, columns) => worker.ask({ kind: 'save', sql, columns }) as Promise<void>,
    db: new Kysely<AuditDatabase>({
      dialect: dialectOf((sql, parameters) => worker.ask({ kind: 'sql', sql, parameters }) as Promise<SqlResult>),
    }),
    async close() {
      closed = true
      if (!worker.ended()) await worker.ask({ kind: 'close' })
      await worker.exited
    },
  }
}

interface RunningWorker {
  ask(work: Work): Promise<unknown>
  ended(): boolean
  readonly exited: Promise<void>
}

async function startWorker(settings: WriterSettings): Promise<RunningWorker> {
  const worker = new Worker(new URL('./sqlite-worker.ts', import.meta.url), { workerData: settings })
  const waiting = new Map<number, PromiseWithResolvers<unknown>>()
  const exited = Promise.withResolvers<void>()
  let last = 0
  let end: StoreError | undefined
  const replyTo = (id: number) => {
    const reply = Promise.withResolvers<unknown>()
    waiting.set(id, reply)
    return reply.promise
  }
  worker.on('message', (reply: Reply) => {
    const asked = waiting.get(reply.id)
    waiting.delete(reply.id)
    if ('fault' in reply) asked?.reject(toError(reply.fault))
    else asked?.resolve(reply.result)
  })
  // It comes before `exit`; heard by nobody it would end the process.
  worker.on('error', (cause) => {
    end = endOf(cause.message, cause)
  })
  worker.on('exit', (code) => {
    end ??= endOf(`exit code ${code}`, undefined)
    for (const { reject } of waiting.values()) reject(end)
    waiting.clear()
    exited.resolve()
  })
  await replyTo(0)
  return {
    async ask(work) {
      if (end) throw end
      const id = ++last
      worker.postMessage({ id, work } satisfies Request)
      return replyTo(id)
    },
    ended: () => end !== undefined,
    exited: exited.promise,
  }
}

function endOf(reason: string, cause: unknown): StoreError {
  return new StoreError(`The thread that writes the audit store has ended (${reason}).`, { cause, isDouble: false })
}

interface SqlResult {
  readonly rows: unknown[]
  readonly changes: number
}

/** Statements of any kind, one at a time; transactions are the thread's own. */
function dialectOf(run: (sql: string, parameters: readonly unknown[]) => Promise<SqlResult>): Dialect {
  const connection: DatabaseConnection = {
    async executeQuery<Row>({ sql, parameters }: { sql: string; parameters: readonly unknown[] }) {
      const { rows, changes } = await run(sql, parameters)
      return { rows: rows as Row[], numAffectedRows: BigInt(changes) }
    },
    // biome-ignore lint/correctness/useYield: there is nothing to yield.
    async *streamQuery() {
      throw new Error('The thread that writes does not stream rows.')
    },
  }
  class ThreadDriver extends DummyDriver {
    override acquireConnection = async () => connection
  }
  return {
    createDriver: () => new ThreadDriver(),
    createAdapter: () => new SqliteAdapter(),
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createIntrospector: (db) => new SqliteIntrospector(db),
  }
}

function toError({ message, store, isDouble }: Fault): Error {
  return store ? new StoreError(message, { cause: undefined, isDouble }) : new Error(message)
}
