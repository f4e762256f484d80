import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { StartError } from '@millrace/runtime'

export interface HomeLock {
  /** A previous run of this folder ended without cleaning up; its children may still be draining. */
  readonly afterCrash: boolean
  release(): void
}

/** A run whose starter died drains and ends within this time. */
const PREVIOUS_RUN_MS = 40_000
const POLL_MS = 250

/**
 * One run at a time per data folder. The file names the process that has it; a file whose process is gone was left by a
 * run that was killed, and is taken over.
 */
export async function lockHome(home: string, { onWait }: { onWait(pid: number): void }): Promise<HomeLock> {
  mkdirSync(home, { recursive: true })
  const file = join(home, 'up.pid')
  const deadline = Date.now() + PREVIOUS_RUN_MS
  let afterCrash = false
  for (let told = false; ; told = true) {
    const holder = readHolder(file)
    if (holder === undefined) break
    afterCrash = true
    if (!isAlive(holder)) break
    if (!told) onWait(holder)
    if (Date.now() >= deadline) {
      throw new StartError(
        `Millrace already runs on ${home} (process ${holder}). Stop it first, or set MILLRACE_HOME to another folder and other ports.`,
      )
    }
    await delay(POLL_MS)
  }
  writeFileSync(file, `${process.pid}\n`)
  return { afterCrash, release: () => rmSync(file, { force: true }) }
}

function readHolder(file: string): number | undefined {
  try {
    const pid = Number(readFileSync(file, 'utf8').trim())
    return Number.isInteger(pid) && pid > 0 && pid !== process.pid ? pid : undefined
  } catch {
    return undefined
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
