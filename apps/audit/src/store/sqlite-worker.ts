import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'
import { sqliteFault } from './node-sqlite.ts'
import type { Reply, Request, Work, WriterSettings } from './sqlite-thread.ts'

/**
 * The thread that has the connection which writes. It does one request after the other, in the order in which they came,
 * and need not be waited for between two of them: when one fails, all that follow it in its transaction fail with
 * the same error, so that nothing of it can be committed. (SQLite itself would let the others go on, and a full disk may end a transaction.)
 */
const { path, pragmas } = workerData as WriterSettings
const port = parentPort!
const database = open()
const prepared = new Map<string, StatementSync>()
/** Why the transaction cannot be committed any more. */
let failure: unknown

port.on('message', ({ id, work }: Request) => {
  try {
    port.postMessage({ id, result: run(work) } satisfies Reply)
  } catch (error) {
    if (work.kind !== 'begin') failure = error
    port.postMessage({ id, fault: sqliteFault(error) } satisfies Reply)
  }
  if (work.kind === 'close') port.close()
})

function open(): DatabaseSync | undefined {
  try {
    const opened = new DatabaseSync(path)
    for (const pragma of pragmas) opened.exec(`PRAGMA ${pragma}`)
    port.postMessage({ id: 0, result: undefined } satisfies Reply)
    return opened
  } catch (error) {
    port.postMessage({ id: 0, fault: sqliteFault(error) } satisfies Reply)
    port.close()
    return undefined
  }
}

function run(work: Work): unknown {
  switch (work.kind) {
    case 'begin':
      // `IMMEDIATE` takes the write lock first: a transaction that starts by reading and only then finds the lock taken
      // would have to be thrown away.
      database!.exec('BEGIN IMMEDIATE')
      failure = undefined
      return undefined
    case 'rollback':
      // A full disk or a failed COMMIT may have ended the transaction already.
      if (database!.isTransaction) database!.exec('ROLLBACK')
      failure = undefined
      return undefined
    case 'close':
      database!.close()
      return undefined
    default:
      if (failure !== undefined) throw failure
      return change(work)
  }
}

function change(work: Exclude<Work, { kind: 'begin' | 'rollback' | 'close' }>): unknown {
  switch (work.kind) {
    case 'commit':
      database!.exec('COMMIT')
      return undefined
    case 'sql': {
      const made = database!.prepare(work.sql)
      const parameters = work.parameters as SQLInputValue[]
      // Only a statement that gives rows has columns.
      if (made.columns().length > 0) return { rows: made.all(...parameters), changes: 0 }
      return { rows: [], changes: Number(made.run(...parameters).changes) }
    }
    case 'find': {
      const select = statement(work.sql)
      select.setReturnArrays(true)
      return work.keys.flatMap((parts) => {
        const row = select.get(...(parts as SQLInputValue[]))
        return row === undefined ? [] : [row]
      })
    }
    case 'save': {
      if (!database!.isTransaction) throw new Error('Rows are saved in a transaction, and there is none.')
      const insert = statement(work.sql)
      const [first = [], ...more] = work.columns as SQLInputValue[][]
      for (let index = 0; index < first.length; index++)
        insert.run(first[index]!, ...more.map((column) => column[index]!))
      return undefined
    }
    default:
      return work satisfies never
  }
}

/** Prepared once: on the way of every event, building one would cost more than running it. */
function statement(sql: string): StatementSync {
  const known = prepared.get(sql)
  if (known) return known
  const made = database!.prepare(sql)
  prepared.set(sql, made)
  return made
}
