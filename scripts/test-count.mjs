// What one run of vitest counts for, from its JSON report and its exit code.

/**
 * Everything that is not a pass is a failure, also a test that is skipped or to be written: we do not land those. A file
 * that could not be loaded, an error outside of any test, a crash, and a run without tests count one each.
 *
 * @param report what the JSON reporter wrote, or undefined when it wrote nothing
 */
export function countTests(report, exitCode) {
  if (!report) return { passed: 0, failed: 1 }
  const passed = report.numPassedTests
  const unloadable = report.testResults.filter((file) => file.status === 'failed' && !hasFailedTest(file)).length
  const failed = report.numFailedTests + report.numPendingTests + report.numTodoTests + unloadable
  const isSilentFailure = failed === 0 && (exitCode !== 0 || passed === 0)
  return { passed, failed: isSilentFailure ? 1 : failed }
}

function hasFailedTest(file) {
  return file.assertionResults.some((test) => test.status === 'failed')
}
