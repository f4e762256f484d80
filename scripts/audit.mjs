// `npm run audit`: asks the registry for known weaknesses of what runs in production, and says which of three things is so.
// Exit codes: 0 nothing is known, or all of it is explained; 1 something is; 2 the registry gives no answer.

import { spawnSync } from 'node:child_process'
import { auditVerdict, EXPLAINED } from './audit-verdict.mjs'
import { root } from './setup.mjs'

const { stdout, stderr, error } = spawnSync('npm', ['audit', '--omit=dev', '--json'], {
  cwd: root,
  encoding: 'utf8',
  shell: process.platform === 'win32',
  // A registry that answers nothing at all is one without an answer, within a minute.
  timeout: 60_000,
})
const verdict = auditVerdict(stdout || stderr || String(error ?? ''), EXPLAINED)

if (verdict.kind === 'no answer') {
  console.log(`No answer: nothing is known of the production packages, good or bad. ${verdict.reason}`)
  console.log('Ask a registry that answers: npm run audit --registry=<url>')
  process.exitCode = 2
} else {
  const { packages, findings, explained, stale } = verdict
  for (const { severity, name, range, title, url } of findings) {
    console.log(`${severity}  ${name} ${range}  ${title}\n  ${url}`)
  }
  for (const { id, name } of explained) console.log(`explained  ${name}  ${id}: ${EXPLAINED[id]}`)
  for (const id of stale)
    console.log(`${id} is explained in scripts/audit-verdict.mjs and no longer found: take it out.`)
  console.log(`${packages} production packages: ${findings.length} weaknesses, ${explained.length} more explained.`)
  process.exitCode = findings.length + stale.length === 0 ? 0 : 1
}
