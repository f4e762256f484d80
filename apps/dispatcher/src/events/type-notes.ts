import type { Clock } from '@millrace/runtime'
import { rememberType } from '@millrace/streams'
import type { Redis } from 'ioredis'

/** Whose event it is when nobody says so, and no service declares its type. */
export const DEFAULT_NAMESPACE = 'default'

export interface TypeNotes {
  /** Note that a namespace publishes a type. Costs a look into a table, and now and then a command that nobody waits for. */
  note(namespace: string, type: string): void
}

/** Noted anew so often, so that what is published stays known. */
const NOTE_EVERY_MS = 86_400_000
/** Types that clients make up must not fill the memory of this process; to note them again does no harm. */
const MAX_NOTED = 10_000

/** Remembers which types are published, for the AsyncAPI document: a manifest need not declare them. */
export function createTypeNotes({
  redis,
  clock,
  onError,
}: {
  redis: Redis
  clock: Clock
  onError(error: unknown): void
}): TypeNotes {
  const noted = new Map<string, number>()
  return {
    note(namespace, type) {
      const nowMs = clock.now()
      const name = `${namespace} ${type}`
      if (nowMs - (noted.get(name) ?? 0) < NOTE_EVERY_MS) return
      if (noted.size >= MAX_NOTED) noted.clear()
      noted.set(name, nowMs)
      rememberType(redis, { namespace, type, nowMs }).catch((error) => {
        noted.delete(name)
        onError(error)
      })
    },
  }
}
