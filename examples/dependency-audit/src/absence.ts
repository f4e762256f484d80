import type { LockedPackage } from './lockfile.ts'
import { describeMachine, fitsMachine, type Machine } from './machine.ts'

export interface Absence {
  readonly locked: Pick<LockedPackage, 'optional' | 'os' | 'cpu' | 'libc'>
  /** Which delivery of the job this is, from 1. */
  readonly attempt: number
  readonly machine: Machine
  /** Whether something that is for this machine asks for the package. */
  readonly isNeeded: boolean
}

/** `fail` is answered with 500: it is retried, and when no retry is left the platform keeps it as a dead letter. */
export type AbsenceDecision =
  | { readonly kind: 'fail'; readonly why: string }
  | { readonly kind: 'skip'; readonly why: string }

/**
 * What to do about a package that is locked but not on disk.
 *
 * Skipping needs a reason that stands in the lockfile. An optional package that fits this machine and that something
 * here asks for has none: npm leaves such a package out without a word when its install fails, and whether that
 * happened or somebody deleted a folder is for a person to find out, so it ends as a dead letter like any other.
 */
export function decideAbsence({ locked, attempt, machine, isNeeded }: Absence): AbsenceDecision {
  if (attempt === 1) return { kind: 'fail', why: 'not on disk; an install may still be running' }
  if (locked.optional === true && !fitsMachine(locked, machine)) {
    return { kind: 'skip', why: `optional and for ${describeLimits(locked)}; this is ${describeMachine(machine)}` }
  }
  if (locked.optional === true && !isNeeded) {
    return { kind: 'skip', why: `optional and asked for only by packages that are not for ${describeMachine(machine)}` }
  }
  return { kind: 'fail', why: 'not on disk, and nothing in the lockfile says that it may be missing here' }
}

function describeLimits({ os = [], cpu = [], libc = [] }: Absence['locked']): string {
  const limits = [os, cpu, libc].filter((list) => list.length > 0)
  return limits.map((list) => list.join('|')).join('/')
}
