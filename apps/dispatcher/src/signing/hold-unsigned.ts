import type { AttemptMaker } from '@millrace/delivery'

/** A person has to give the process its key, so nothing is gained by looking more often. */
const LOOK_AGAIN_MS = 2000

/**
 * Begin nothing while the requests cannot be signed as their service expects: it would refuse them, and the jobs would burn
 * their attempts. They wait in their lanes, for this dispatcher or for one that has the key.
 */
export function heldWhile(problem: () => string | undefined, maker: AttemptMaker): AttemptMaker {
  return {
    ...maker,
    room: () => (problem() === undefined ? maker.room() : 0),
    roomInMs: () => (problem() === undefined ? maker.roomInMs() : LOOK_AGAIN_MS),
  }
}
