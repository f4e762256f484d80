import { describe, expect, it } from 'vitest'
// @boundaries-ignore the scripts run before anything is installed, so they are no workspace to import by name
import { countTests, type VitestReport } from '../../scripts/test-count.mjs'

function report(counts: Partial<VitestReport> = {}): VitestReport {
  return { numPassedTests: 3, numFailedTests: 0, numPendingTests: 0, numTodoTests: 0, testResults: [], ...counts }
}

describe('countTests', () => {
  it('counts what passed and what failed', () => {
    expect(countTests(report(), 0)).toEqual({ passed: 3, failed: 0 })
    const failing = [{ status: 'failed', assertionResults: [{ status: 'failed' }, { status: 'passed' }] }]
    expect(countTests(report({ numFailedTests: 1, testResults: failing }), 1)).toEqual({ passed: 3, failed: 1 })
  })

  it('counts a test that does not run as failed', () => {
    expect(countTests(report({ numPendingTests: 1, numTodoTests: 1 }), 0)).toEqual({ passed: 3, failed: 2 })
  })

  it('counts a file that cannot be loaded', () => {
    const unloadable = [{ status: 'failed', assertionResults: [] }]
    expect(countTests(report({ testResults: unloadable }), 1)).toEqual({ passed: 3, failed: 1 })
  })

  it('counts an error outside of any test, which only the exit code shows', () => {
    expect(countTests(report(), 1)).toEqual({ passed: 3, failed: 1 })
  })

  it('counts a run without tests, and one that crashed before it could report', () => {
    expect(countTests(report({ numPassedTests: 0 }), 0)).toEqual({ passed: 0, failed: 1 })
    expect(countTests(undefined, 134)).toEqual({ passed: 0, failed: 1 })
  })
})
