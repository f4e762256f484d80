import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Data folders as earlier versions left them, one archive a version: whatever comes later reads them. */
const HOMES = fileURLToPath(new URL('./homes/', import.meta.url))
const CONTENT = 'content.json'

/** What was put into a data folder when it was written, for who reads it again. */
export interface Content {
  readonly manifest: unknown
  /** Of namespace `shop`, made by `secrets rotate`. */
  readonly signingSecret: string
  readonly succeeded: string
  readonly dead: string
  /** In a queue that was paused by hand, in the order in which they were accepted. */
  readonly waiting: readonly string[]
  /** The payload of the last of these, which is large enough to be stored packed. */
  readonly large: unknown
  /** In a paused queue that serves each key in order, by key. */
  readonly byKey: Readonly<Record<string, readonly string[]>>
  /** Due in ten years. */
  readonly scheduled: string
  /** CloudEvents that wait in the queue of a paused subscription. */
  readonly events: readonly string[]
  /** Nominal times of the schedule `often`, which was paused then. */
  readonly fired: readonly string[]
  /** An entity with audit records, whose payloads were erased. */
  readonly erased: string
  readonly records: number
}

export function writtenVersions(): string[] {
  return readdirSync(HOMES).map((name) => name.replace(/\.tar\.gz$/, ''))
}

const archiveOf = (version: string) => join(HOMES, `${version}.tar.gz`)

export function pack(version: string, home: string, content: Content): string {
  writeFileSync(join(home, CONTENT), JSON.stringify(content, undefined, 2))
  const archive = archiveOf(version)
  execFileSync('tar', ['--exclude=./logs', '-czf', archive, '-C', home, '.'])
  return archive
}

export function unpack(version: string, home: string): Content {
  execFileSync('tar', ['-xzf', archiveOf(version), '-C', home])
  return JSON.parse(readFileSync(join(home, CONTENT), 'utf8')) as Content
}
