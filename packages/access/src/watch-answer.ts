import { ProblemError } from '@millrace/contracts'
import type { FastifyReply } from 'fastify'

export interface WatchOptions {
  /** Rejects when the sender is not, or no longer, known. */
  check(): Promise<unknown>
  /** Ends the answer, whatever of it is out; said once. */
  end(reply: FastifyReply, reason: EndReason, detail: string): void
  readonly everyMs?: number
}

/** Why an answer ends early: its sender may not read on, or nobody can say whether they may. */
export type EndReason = 'refused' | 'unavailable'

/** With the two seconds for which a key is remembered, a revoked one reads on for four at most. */
const RECHECK_MS = 2000
/**
 * So many checks in a row may stay without an answer. Half a minute with the usual interval: long enough for a restart of Redis
 * or of an identity provider, which would else end every stream, and a bound on what a key that was revoked meanwhile reads.
 */
const MAX_UNANSWERED = 15

/**
 * Ask again and again, while an answer is under way, whether its sender is still let in: streams stay open for days, and a
 * key is revoked because somebody has it who should not.
 */
export function watchAnswer(reply: FastifyReply, { check, end, everyMs = RECHECK_MS }: WatchOptions): void {
  let unanswered = 0
  let asking = false
  let over = false
  const stop = () => {
    over = true
    clearInterval(timer)
  }
  const finish = (reason: EndReason, detail: string) => {
    if (over) return
    stop()
    end(reply, reason, detail)
  }
  const ask = async () => {
    asking = true
    try {
      await check()
      unanswered = 0
    } catch (error) {
      if (isRefusal(error)) finish('refused', error.message)
    }
    asking = false
  }
  const timer = setInterval(() => {
    unanswered++
    if (unanswered > MAX_UNANSWERED) finish('unavailable', 'Whether the key or token still holds cannot be found out.')
    else if (!asking) void ask()
  }, everyMs)
  reply.raw.once('close', stop)
}

/** Whether an error says that a sender may not come in, and not that nobody knows. */
export function isRefusal(error: unknown): error is ProblemError {
  return error instanceof ProblemError && error.code.startsWith('auth.') && error.code !== 'auth.unavailable'
}
