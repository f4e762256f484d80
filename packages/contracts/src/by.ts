import { z } from 'zod'

/**
 * Who asks for a change, and why. Both go into the audit trail, so nobody changes anything without a name: there is no
 * default, which would only fill the trail with the word "api".
 */
export const bySchema = {
  who: textSchema('must say who asks, for the audit trail', 200).describe('who asks: a person or a service'),
  why: textSchema('must say why, for the audit trail', 1000).optional().describe('the reason'),
}

/**
 * The same where something that was accepted will not be done, or not be kept, or where somebody else is turned away: the
 * reason is what is asked for first when it is found missing, so it is not left to good will.
 */
export const destructiveBySchema = { ...bySchema, why: bySchema.why.unwrap().describe('the reason; must be given') }

/** A rotation without grace turns away whoever has the old secret, as a revocation does, and is asked for a reason like one. */
export function saysWhyAtOnce({ graceSeconds, why }: { graceSeconds: number; why?: string | undefined }): boolean {
  return graceSeconds > 0 || why !== undefined
}
export const WHY_AT_ONCE = {
  path: ['why'],
  error: 'must say why, for the audit trail: with graceSeconds 0 the old one is refused at once',
}

function textSchema(error: string, max: number) {
  return z.string(error).min(1, error).max(max)
}
