// Types of audit-verdict.mjs for the tests; the scripts themselves are plain JavaScript.

export interface Advisory {
  readonly id: string
  readonly name: string
  readonly title: string
  readonly severity: string
  /** The versions that have it. */
  readonly range: string
  readonly url: string
}

export type AuditVerdict =
  | { readonly kind: 'no answer'; readonly reason: string }
  | {
      readonly kind: 'answer'
      /** How many were asked about. */
      readonly packages: number
      readonly findings: readonly Advisory[]
      readonly explained: readonly Advisory[]
      /** Explained, and no longer found. */
      readonly stale: readonly string[]
    }

export const EXPLAINED: Readonly<Record<string, string>>
export function auditVerdict(output: string, explained: Readonly<Record<string, string>>): AuditVerdict
