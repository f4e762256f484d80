import { once } from 'node:events'
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

/** The connection that writes into a SQLite file, in a thread of its own, so that this one goes on while it writes. */
export interface SqliteThread {
  begin(): Promise<void>
  commit(): Promise<void>
  rollback(): Promise<void>
  /** The rows that are found, each as an array of its columns. */
  find(sql: string, keys: readonly (readonly unknown[])[]): Promise<unknown[][]>
  /** The statement once for each row; `columns` are as long as there are rows. */
  save(sql: string, columns: readonly (readonly unknown[])[]): Promise<void>
  readonly db: Kysely<AuditDatabase>
  close(): Promise<void>
}

/** @throws StoreError when the file cannot be opened. */
export async function startSqliteThread(settings: WriterSettings): Promise<SqliteThread> {
  const worker = new Worker(new URL('./sqlite-worker.ts', import.meta.url), { workerData: settings })
  const waiting = new Map<number, PromiseWithResolvers<unknown>>()
  let last = 0
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
  const ask = (work: Work) => {
    const id = ++last
    worker.postMessage({ id, work } satisfies Request)
    return replyTo(id)
  }
  await replyTo(0)
  return {
    begin: () => ask({ kind: 'begin' }) as Promise<void>,
    commit: () => ask({ kind: 'commit' }) as Promise<void>,
    rollback: () => ask({ kind: 'rollback' }) as Promise<void>,
    find: (sql, keys) => ask({ kind: 'find', sql, keys }) as Promise<unknown[][]>,
    save: (sql, columns) => ask({ kind: 'save', sql, columns }) as Promise<void>,
    db: new Kysely<AuditDatabase>({
      dialect: dialectOf((sql, parameters) => ask({ kind: 'sql', sql, parameters }) as Promise<SqlResult>),
    }),
    async close() {
      const exited = once(worker, 'exit')
      await ask({ kind: 'close' })
      await exited
    },
  }
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
