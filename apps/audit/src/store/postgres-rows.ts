import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'

/** Columns of rows as the texts that PostgreSQL reads; quoting by the driver takes longer than writing the rows. */
type Value = string | number | null

/** Begins a statement that takes rows as text from the client: its only parameter, `CopySource`. */
export const COPY = 'COPY '

export function copySql({ into, columns }: { into: string; columns: readonly string[] }): string {
  return `${COPY}${into} (${columns.join(', ')}) FROM STDIN`
}

/** Texts made by `copyText`, one after the other. */
export type CopySource = Iterable<string> | AsyncIterable<string>

/** Runs `copySql` with its texts. */
export async function copyIn(client: pg.PoolClient, sql: string, source: CopySource): Promise<pg.QueryResult> {
  await pipeline(Readable.from(buffers(source)), client.query(copyFrom(sql)))
  return { command: 'COPY', rowCount: null, oid: 0, fields: [], rows: [] }
}

async function* buffers(source: CopySource): AsyncGenerator<Buffer> {
  for await (const text of source) yield Buffer.from(text)
}

/** Rows in the text format of COPY: a line each, values apart by tabs. */
export function copyText(columns: readonly string[], rows: readonly object[]): string {
  let text = ''
  for (const row of rows) {
    for (let index = 0; index < columns.length; index++) {
      const value = (row as Record<string, Value>)[columns[index] as string]
      text += (index === 0 ? '' : '\t') + (typeof value === 'string' ? copyValue(value) : (value ?? '\\N'))
    }
    text += '\n'
  }
  return text
}

const COPY_ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' }

function copyValue(value: string): string {
  return /[\\\n\r\t]/.test(value) ? value.replace(/[\\\n\r\t]/g, (one) => COPY_ESCAPES[one] as string) : value
}

/** Values as an array literal. */
export function arrayText(values: readonly Value[]): string {
  let text = '{'
  for (let index = 0; index < values.length; index++) {
    const value = values[index]
    text += (index === 0 ? '' : ',') + (typeof value === 'string' ? quoted(value) : (value ?? 'NULL'))
  }
  return `${text}}`
}

function quoted(value: string): string {
  return /["\\]/.test(value) ? `"${value.replace(/["\\]/g, '\\$&')}"` : `"${value}"`
}
