import { setTimeout as sleep } from 'node:timers/promises'
import { MillraceError } from '../errors.ts'
import type { Handler } from './handler-attempts.ts'
import type { PullEngine, PullSource } from './pull-engine.ts'
import type { ConsumeOptions } from './pull-options.ts'

export interface PullConsumer {
  /** Resolves when jobs are taken; rejects with `sdk.closed` when it is closed before. */
  readonly ready: Promise<void>
  /**
   * Take no more jobs, wait for the handlers that run, hand back the jobs of those that do not end in time, disconnect.
   * Resolves when all that is done; never rejects; a second call is the first one's.
   */
  close(): Promise<void>
}

/** The wait before another try when Redis or the platform is not there. */
const START_AGAIN_MS = 1000

/** What no waiting mends: the program itself, or a manifest, says something else. */
const FINAL: ReadonlySet<string> = new Set(['sdk.invalid_input', 'subscription.declared'])

export interface PullConsumerDeps {
  readonly source: PullSource
  readonly handler: Handler
  readonly options: ConsumeOptions
}

/** Connects by itself, as often as needed, and takes jobs until it is closed. */
export function startPullConsumer({ source, handler, options }: PullConsumerDeps): PullConsumer {
  const { signal } = options
  const closing = new AbortController()
  const tell = createTeller(options.onError)
  const { promise: ready, resolve: onReady, reject } = Promise.withResolvers<void>()
  // A caller who does not wait for it must not be ended by it.
  ready.catch(() => undefined)

  const start = async (): Promise<PullEngine | undefined> => {
    // Loaded here: who only enqueues has no use for a Redis client.
    const { startPullEngine } = await import('./pull-engine.ts')
    while (!closing.signal.aborted) {
      try {
        return await startPullEngine({ source, handler, options, onReady, tell, signal: closing.signal })
      } catch (error) {
        if (closing.signal.aborted) break
        const fault = toMillraceError(error)
        tell(fault)
        if (FINAL.has(fault.code)) {
          reject(fault)
          break
        }
        await sleep(START_AGAIN_MS, undefined, { signal: closing.signal }).catch(() => undefined)
      }
    }
    return undefined
  }
  const started = start()
  let closed: Promise<void> | undefined
  const close = () => {
    closed ??= (async () => {
      closing.abort()
      signal?.removeEventListener('abort', close)
      reject(new MillraceError('The consumer was closed before it took jobs', { code: 'sdk.closed' }))
      const engine = await started.catch(() => undefined)
      await engine?.close().catch((error) => tell(toMillraceError(error)))
    })()
    return closed
  }
  started.catch((error) => tell(toMillraceError(error)))
  if (signal?.aborted) void close()
  else signal?.addEventListener('abort', close, { once: true })
  return { ready, close }
}

/** A hook that throws must not end the process, nor the consumer. */
function createTeller(onError: ConsumeOptions['onError']): (error: MillraceError) => void {
  const told = new Set<string>()
  return (error) => {
    try {
      if (onError) onError(error)
      else if (!told.has(error.code)) console.error(`millrace: ${error.code}: ${error.message}`)
      told.add(error.code)
    } catch (thrown) {
      console.error('millrace: the onError hook threw', thrown)
    }
  }
}

function toMillraceError(error: unknown): MillraceError {
  if (error instanceof MillraceError) return error
  const message = error instanceof Error ? error.message : String(error)
  const code = error instanceof Error && error.name === 'UnfitServerError' ? 'sdk.unfit_redis' : 'sdk.redis_unavailable'
  return new MillraceError(message, { code, cause: error })
}
