import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ChildHandle, freePort, startProcess } from '@millrace/testkit'
import { type StoreServer, startStore } from './redis.ts'
import { redisKind } from './redis-kinds.ts'

export const MILLRACE = new URL('../../apps/cli/bin/millrace.mjs', import.meta.url)

/**
 * Where a platform of a test lives: its own data folder and its own ports, the same after a restart. Where the run is on several servers,
 * those as well; else `millrace up` starts a server of its own.
 */
export interface Place {
  readonly home: string
  readonly env: Record<string, string>
  readonly urls: {
    readonly dispatcher: string
    readonly scheduler: string
    readonly audit: string
    readonly example: string
  }
  remove(): Promise<void>
}

/** @param of `store`: the one to run on, whatever the run is on; whoever started it stops it. */
export async function findPlace(of: { readonly store?: StoreServer } = {}): Promise<Place> {
  const home = mkdtempSync(join(tmpdir(), 'millrace-e2e-'))
  const [dispatcher, scheduler, audit, example] = await Promise.all([freePort(), freePort(), freePort(), freePort()])
  const own = of.store || redisKind() === 'single' ? undefined : await startStore({ appendonly: true })
  const url = (port: number) => `http://127.0.0.1:${port}`
  return {
    home,
    env: {
      ...(of.store ?? own)?.env,
      MILLRACE_HOME: home,
      MILLRACE_DISPATCHER_PORT: String(dispatcher),
      MILLRACE_SCHEDULER_PORT: String(scheduler),
      MILLRACE_AUDIT_PORT: String(audit),
      MILLRACE_EXAMPLE_PORT: String(example),
    },
    urls: { dispatcher: url(dispatcher), scheduler: url(scheduler), audit: url(audit), example: url(example) },
    async remove() {
      await own?.stop()
      rmSync(home, { recursive: true, force: true })
    },
  }
}

/** `millrace up` in a place; resolves when it says that it is ready. */
export function startUp(place: Place, args: readonly string[] = []): Promise<ChildHandle> {
  return startProcess({
    file: MILLRACE,
    args: ['up', ...args],
    env: place.env,
    readyWhen: /^Millrace is ready/,
    readyTimeoutMs: 120_000,
  })
}

/** One run of the command, to its end. */
export async function runCommand(
  place: Place,
  ...args: string[]
): Promise<{ code: number | null; stdout: string; output: string }> {
  const child = await startProcess({ file: MILLRACE, args, env: place.env })
  const { code } = await child.exited
  return { code, stdout: child.stdout(), output: child.output() }
}

export async function getJson<T>(url: string): Promise<T> {
  const response = await fetch(url)
  return (await response.json()) as T
}
