/** What one check found. */
export interface Finding {
  /** Its name, such as `redis.eviction`. */
  readonly check: string
  /** `warn`: it works, and may cost something one day. `skipped`: it could not be looked at. */
  readonly state: 'ok' | 'warn' | 'fail' | 'skipped'
  readonly says: string
  /** What to change; of all but `ok`. */
  readonly fix?: string
}

export const ok = (check: string, says: string): Finding => ({ check, state: 'ok', says })
export const warn = (check: string, says: string, fix: string): Finding => ({ check, state: 'warn', says, fix })
export const fail = (check: string, says: string, fix: string): Finding => ({ check, state: 'fail', says, fix })
export const skipped = (check: string, says: string, fix: string): Finding => ({ check, state: 'skipped', says, fix })

/** `ok` if nothing is said against it. */
export function unless(check: string, says: string, complaint: Finding | undefined | false): Finding {
  return complaint || ok(check, says)
}
