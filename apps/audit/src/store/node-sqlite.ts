import type { DatabaseSync, SQLInputValue } from 'node:sqlite'
import type { SqliteDatabase } from 'kysely'
import { StoreError } from './store-error.ts'

/** Node's own SQLite in the shape that Kysely's dialect asks for, so that no native package has to be built. */
export function asKyselyDatabase(database: DatabaseSync): SqliteDatabase {
  return {
    close: () => database.close(),
    prepare(sql) {
      const statement = storeErrors(() => database.prepare(sql))
      return {
        // Only a statement that gives rows has columns.
        reader: statement.columns().length > 0,
        all: (parameters) => storeErrors(() => statement.all(...(parameters as SQLInputValue[]))),
        run: (parameters) => storeErrors(() => statement.run(...(parameters as SQLInputValue[]))),
        iterate: (parameters) => storeErrors(() => statement.iterate(...(parameters as SQLInputValue[]))),
      }
    },
  }
}

/** An error in a form that can be sent to another thread. */
export interface Fault {
  readonly message: string
  /** Whether SQLite says so; anything else is a mistake of ours. */
  readonly store: boolean
  readonly isDouble: boolean
}

/** SQLITE_CONSTRAINT_UNIQUE and SQLITE_CONSTRAINT_PRIMARYKEY. */
const DOUBLE_CODES: readonly unknown[] = [2067, 1555]

export function sqliteFault(error: unknown): Fault {
  const { message, code, errcode } = error as Error & { code?: unknown; errcode?: unknown }
  return { message, store: code === 'ERR_SQLITE_ERROR', isDouble: DOUBLE_CODES.includes(errcode) }
}

/** Run something that speaks to SQLite; its errors become `StoreError`s. */
export function storeErrors<T>(run: () => T): T {
  try {
    return run()
  } catch (error) {
    const { message, store, isDouble } = sqliteFault(error)
    throw store ? new StoreError(message, { cause: error, isDouble }) : error
  }
}
