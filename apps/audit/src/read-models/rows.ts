import type { Key, TableAccess } from '../store/database.ts'
import type { AuditDatabase } from '../store/schema.ts'
import { TABLES } from '../store/tables.ts'
import { together } from '../store/together.ts'

/** The tables that are folds of the log. */
export const MODEL_TABLES = ['jobs', 'attempts', 'schedules', 'ticks', 'subscriptions', 'gas', 'queue_stats'] as const
export type ModelTable = (typeof MODEL_TABLES)[number]

/** Rows of one table while a batch is folded: read by key before, changed in memory, written once at the end. */
export class Rows<Name extends ModelTable> {
  readonly #table: Name
  readonly #access: TableAccess
  readonly #known = new Map<string, AuditDatabase[Name] | undefined>()
  readonly #changed = new Set<string>()
  /** Keys that were looked up and had no row. */
  readonly #missing = new Set<string>()

  constructor(table: Name, access: TableAccess) {
    this.#table = table
    this.#access = access
  }

  /** Every key must be loaded before it is asked for. */
  async load(keys: Iterable<Key>): Promise<void> {
    const missing = new Map<string, Key>()
    for (const key of keys) {
      const text = textOf(key)
      if (!this.#known.has(text)) missing.set(text, key)
    }
    if (missing.size === 0) return
    for (const text of missing.keys()) this.#known.set(text, undefined)
    const names = TABLES[this.#table].key as readonly (keyof AuditDatabase[Name])[]
    for (const row of await this.#access.find(this.#table, [...missing.values()])) {
      const text = textOf(names.map((name) => row[name] as string | number))
      this.#known.set(text, row)
      missing.delete(text)
    }
    for (const text of missing.keys()) this.#missing.add(text)
  }

  get(...key: Key): AuditDatabase[Name] | undefined {
    return this.#known.get(textOf(key))
  }

  put(row: AuditDatabase[Name], ...key: Key): void {
    const text = textOf(key)
    this.#known.set(text, row)
    this.#changed.add(text)
  }

  changed(): AuditDatabase[Name][] {
    return [...this.#changed].map((text) => this.#known.get(text) as AuditDatabase[Name])
  }

  /** Rows that were not there are inserted, which costs the database half of looking once more. */
  async save(): Promise<void> {
    const rowsOf = (keys: string[]) => keys.map((text) => this.#known.get(text) as AuditDatabase[Name])
    const { fresh = [], known = [] } = Object.groupBy(this.#changed, (text) =>
      this.#missing.has(text) ? 'fresh' : 'known',
    )
    await together([this.#access.insert(this.#table, rowsOf(fresh)), this.#access.put(this.#table, rowsOf(known))])
  }
}

export type ModelRows = { readonly [Name in ModelTable]: Rows<Name> }

export function openRows(access: TableAccess): ModelRows {
  return Object.fromEntries(MODEL_TABLES.map((name) => [name, new Rows(name, access)])) as unknown as ModelRows
}

function textOf(key: Key): string {
  return key.length === 1 ? String(key[0]) : key.join('\0')
}
