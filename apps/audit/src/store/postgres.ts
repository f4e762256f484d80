import { CompiledQuery, Kysely, PostgresDialect, type PostgresPoolClient } from 'kysely'
import pg from 'pg'
import { ASIDE } from './aside.ts'
import { createTurns, type Database, type Key, type TableAccess } from './database.ts'
import { migrate } from './migrate.ts'
import { arrayText, COPY, type CopySource, copyIn, copySql, copyText } from './postgres-rows.ts'
import type { AuditDatabase } from './schema.ts'
import { StoreError } from './store-error.ts'
import { columnsOf, insertSql, TABLES, type Table, type TableName } from './tables.ts'

/** How long to wait for a connection: a database that is down is noticed within this time. */
const CONNECT_TIMEOUT_MS = 3000
/** A page of a list takes milliseconds; a search through payloads of a large trail may take this long. */
const READ_TIMEOUT_MS = 30_000
/** A batch takes tens of milliseconds. Should the other end be gone without a word, we go on after this. */
const WRITE_TIMEOUT_MS = 15_000
/** Besides the statement's own time, so that the server's answer that it gave up still reaches us. */
const ANSWER_MARGIN_MS = 2000
const READ_CONNECTIONS = 8

/** Holds the transactions that write apart, over all processes. The number is an arbitrary one of ours. */
const WRITE_LOCK = 7_403_001

/** Types as the parser of `pg` numbers them: our sums and counts stay far below 2^53. */
const NUMBER_TYPES: ReadonlySet<number> = new Set([pg.types.builtins.INT8, pg.types.builtins.NUMERIC])

/**
 * Open the database, bring its schema up to date, and give a pool for readers and one connection that writes.
 * @throws StoreError when the database cannot be reached, or may not be written to.
 */
export async function openPostgres(url: string): Promise<Database> {
  const read = connect(url, { max: READ_CONNECTIONS, statementTimeoutMs: READ_TIMEOUT_MS, readOnly: true })
  const writer = connect(url, { max: 1, statementTimeoutMs: WRITE_TIMEOUT_MS, readOnly: false })
  const inTurn = createTurns()
  const write: Database['write'] = (work) =>
    inTurn(() =>
      writer.transaction().execute(async (db) => {
        await db.executeQuery(CompiledQuery.raw('SELECT pg_advisory_xact_lock($1)', [WRITE_LOCK]))
        const aside = tableAccess(db, ASIDE)
        // Old versions of a row are the server's to remove: VACUUM does, and gives the room to others.
        return work({ db, ...tableAccess(db, ''), aside, destroy: (statements) => statements() })
      }),
    )
  try {
    await write(({ db }) => migrate(db, 'postgres'))
  } catch (error) {
    await Promise.all([read.destroy(), writer.destroy()])
    throw error
  }
  return {
    dialect: 'postgres',
    read,
    write,
    async checkWritable() {
      // Only a transaction that may write is given a number.
      await write(({ db }) => db.executeQuery(CompiledQuery.raw('SELECT pg_current_xact_id()')))
    },
    close: () =>
      inTurn(async () => {
        await Promise.all([read.destroy(), writer.destroy()])
      }),
  }
}

function connect(
  url: string,
  { max, statementTimeoutMs, readOnly }: { max: number; statementTimeoutMs: number; readOnly: boolean },
): Kysely<AuditDatabase> {
  const pool = new pg.Pool({
    connectionString: verified(url),
    application_name: 'millrace-audit',
    max,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: statementTimeoutMs,
    query_timeout: statementTimeoutMs + ANSWER_MARGIN_MS,
    // A process that is stopped in the middle of a transaction must not keep the write lock from the others.
    idle_in_transaction_session_timeout: statementTimeoutMs,
    keepAlive: true,
    types: {
      getTypeParser: ((type: number, format: 'text' | 'binary') =>
        NUMBER_TYPES.has(type) ? Number : pg.types.getTypeParser(type, format)) as typeof pg.types.getTypeParser,
    },
    ...(readOnly && { options: '-c default_transaction_read_only=on' }),
  })
  // A connection that breaks while nobody uses it: the pool makes another one.
  pool.on('error', () => undefined)
  // One that breaks in the middle of a transaction says so twice: to the query, which rejects, and here, where an error that
  // nobody hears would end the process.
  pool.on('connect', (client) => {
    client.on('error', () => undefined)
  })
  const dialect = new PostgresDialect({
    pool: {
      connect: async () => withStoreErrors(await pool.connect().catch(rethrow)),
      end: () => pool.end(),
      options: pool.options,
    },
  })
  return new Kysely<AuditDatabase>({ dialect })
}

/**
 * Whoever asks for encryption asks who it is that answers. The driver takes these modes for `verify-full`, with a warning that a later
 * one will not; `uselibpqcompat` is how it is asked for what they mean elsewhere.
 */
function verified(url: string): string {
  if (/[?&]uselibpqcompat=true(&|$)/.test(url)) return url
  return url.replace(/([?&]sslmode=)(?:prefer|require|verify-ca)(?=&|$)/, '$1verify-full')
}

/** A client whose queries reject with `StoreError`. */
function withStoreErrors(client: pg.PoolClient): PostgresPoolClient {
  let broken: Error | undefined
  let first: unknown
  const run = (sql: string, parameters: readonly unknown[]): Promise<pg.QueryResult> =>
    sql.startsWith(COPY) ? copyIn(client, sql, parameters[0] as CopySource) : client.query(sql, [...parameters])
  const query = ((sql: string, parameters: readonly unknown[]) =>
    run(sql, parameters).catch((error) => {
      // What the server itself says has a code; anything else is a connection that cannot be used again.
      if (!(error instanceof pg.DatabaseError)) broken = error
      // What follows a failure in its transaction fails because of it, and that is what somebody wants to hear of.
      if (!isAfterFailure(error)) first = error
      return rethrow(first ?? error)
    })) as unknown as PostgresPoolClient['query']
  return { query, release: () => client.release(broken) }
}

const UNIQUE_VIOLATION = '23505'
const IN_FAILED_TRANSACTION = '25P02'

function isAfterFailure(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === IN_FAILED_TRANSACTION
}

function rethrow(error: unknown): never {
  const isDouble = error instanceof pg.DatabaseError && error.code === UNIQUE_VIOLATION
  throw new StoreError((error as Error).message, { cause: error, isDouble })
}

/** Many rows in one statement: the server plans once and answers once. */
function tableAccess(db: Kysely<AuditDatabase>, suffix: string): TableAccess {
  const run = (sql: string, parameters: readonly unknown[]) => db.executeQuery(CompiledQuery.raw(sql, [...parameters]))
  const copy = async (name: TableName, columns: readonly string[], source: CopySource) => {
    await run(copySql({ into: `${name}${suffix}`, columns }), [source])
  }
  return {
    async find<Name extends TableName>(name: Name, keys: readonly Key[]) {
      if (keys.length === 0) return []
      const { key, columns } = TABLES[name]
      const wanted = `${unnest(key.map((column) => columns[column]))} AS wanted (${key.join(', ')})`
      const matches = key.map((column) => `each.${column} = wanted.${column}`).join(' AND ')
      // A key has one row at most, so the limit changes nothing, except that the server has to ask the index for each key. Of a
      // plain join it thinks that to read the whole table is cheaper, up to a million rows, and does so for each batch.
      const row = `SELECT * FROM ${name}${suffix} AS each WHERE ${matches} LIMIT 1`
      const arrays = key.map((_, index) => arrayText(keys.map((parts) => parts[index]!)))
      const sql = `SELECT found.* FROM ${wanted} CROSS JOIN LATERAL (${row}) AS found`
      return (await run(sql, arrays)).rows as AuditDatabase[Name][]
    },
    async insert(name, rows) {
      if (rows.length === 0) return
      const columns = columnsOf(TABLES[name])
      await copy(name, columns, [copyText(columns, rows)])
    },
    async insertAll(name, parts) {
      const columns = columnsOf(TABLES[name])
      await copy(name, columns, copyTexts(columns, parts))
    },
    async put(name, rows) {
      if (rows.length === 0) return
      const table = TABLES[name] as unknown as Table
      const columns = columnsOf(table) as string[]
      const values = `SELECT * FROM ${unnest(columns.map((column) => table.columns[column as never]))}`
      const arrays = columns.map((column) => arrayText(rows.map((row) => row[column as never])))
      await run(insertSql(table, { into: `${name}${suffix}`, values, onDouble: 'replace' }), arrays)
    },
  }
}

async function* copyTexts(columns: readonly string[], parts: AsyncIterable<readonly object[]>): AsyncGenerator<string> {
  for await (const rows of parts) yield copyText(columns, rows)
}

function unnest(types: readonly string[]): string {
  return `unnest(${types.map((type, index) => `$${index + 1}::${type}[]`).join(', ')})`
}
