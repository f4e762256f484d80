/** An alert and the page of the runbook that it leads to, in one place. */
export interface Alert {
  readonly name: `Millrace${string}`
  readonly severity: 'warning' | 'critical'
  readonly expr: string
  /** How long it has to be so, as Prometheus writes it; none for what is wrong the first time. */
  readonly for?: string
  /** One line that names what is concerned and what was measured, with Prometheus's templates. */
  readonly summary: string
  /** What it means and what to do next; without templates, so that it is the same for all of the kind. */
  readonly description: string
  /** What it means, for the runbook. */
  readonly means: string
  /** What to do, in order: each step a sentence, with the command where there is one. */
  readonly steps: readonly string[]
}

const RUNBOOK = 'docs/operations.md'

/** Where in docs/operations.md it says what to do. */
export function runbookOf({ name }: Alert): string {
  return `${RUNBOOK}#${name.toLowerCase()}`
}
