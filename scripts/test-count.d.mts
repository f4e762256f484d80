// Types of test-count.mjs for its test; the script itself is plain JavaScript.

export interface VitestReport {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
  readonly testResults: readonly {
    readonly status: string
    readonly assertionResults: readonly { readonly status: string }[]
  }[]
}

export function countTests(
  report: VitestReport | undefined,
  exitCode: number,
): { readonly passed: number; readonly failed: number }
