import { setTimeout as delay } from 'node:timers/promises'
import { isConnectionError, isOutOfMemory, RedisUnreachableError } from './connection.ts'
import { UnfitServerError } from './server-check.ts'

const RETRY_MS = 100

/** What to do about a server that goes on saying that it cannot serve, by the first word of its reply. */
const ADVICE: Readonly<Record<string, string>> = {
  LOADING: 'It still reads its data: start again when it has.',
  BUSY: 'It runs a script that does not end: SCRIPT KILL or FUNCTION KILL ends it.',
  MISCONF: 'It cannot write to its disk: its own log says why.',
  READONLY: 'It is a replica: the URL has to name its primary, or the sentinels that know it (redis+sentinel://).',
  MASTERDOWN:
    'It is a replica that has lost its primary: the URL has to name the primary, or the sentinels that know it.',
  NOREPLICAS: 'It takes no writes without its replicas (min-replicas-to-write): start them.',
  CLUSTERDOWN: 'Nobody serves a part of its cluster: redis-cli --cluster check says which, and --cluster fix mends it.',
  MOVED: 'It is a node of a cluster: the URL has to begin with redis+cluster://.',
}

/**
 * What a start asks of its servers. It is asked again while one of them cannot serve yet, as while a cluster forms or a failover is
 * under way; so it must be a thing that may be done twice. Once the signal is aborted it is not asked again.
 *
 * @throws RedisUnreachableError when one cannot serve for so long; UnfitServerError when it would refuse for good
 */
export async function whenServing<T>(
  ask: () => Promise<T>,
  { timeoutMs, signal }: { timeoutMs: number; signal?: AbortSignal },
): Promise<T> {
  const untilMs = performance.now() + timeoutMs
  // What a server says tells more than that the connection is made anew, as it is after some of these replies.
  let said: Error | undefined
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      if (!isConnectionError(error)) throw refusalOf(error)
      if ((error as Error).name === 'ReplyError') said = error as Error
      if (performance.now() > untilMs || signal?.aborted) throw cannotServe(said ?? (error as Error), timeoutMs)
    }
    await delay(RETRY_MS)
  }
}

function cannotServe(error: Error, timeoutMs: number): RedisUnreachableError {
  const advice = error.name === 'ReplyError' ? ADVICE[error.message.split(' ', 1)[0] as string] : undefined
  const says = `Redis cannot serve, and could not for ${timeoutMs} ms: ${error.message.replace(/\.$/, '')}.`
  return new RedisUnreachableError(advice === undefined ? says : `${says} ${advice}`, { cause: error })
}

/** Its user lacks a command itself, or a script of ours does. */
const MAY_NOT = /^NOPERM\b|can't run this command/

function refusalOf(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  if (MAY_NOT.test(error.message)) {
    return new UnfitServerError(
      `The Redis user of the URL may not do all that Millrace does: ${error.message.replace(/\.$/, '')}. ACL SETUSER gives it what it lacks; it needs all commands on all keys and channels (+@all ~* &*), FCALL and FUNCTION among them.`,
      { cause: error },
    )
  }
  if (isOutOfMemory(error)) {
    return new UnfitServerError(
      'Redis has reached maxmemory and does not have the scripts of this version yet, for which it needs half a megabyte. Raise maxmemory with CONFIG SET maxmemory, and start again: what is accepted then goes on and makes room.',
      { cause: error },
    )
  }
  return error
}
