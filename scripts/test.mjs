// `npm test`: makes the machine ready, then runs every check there is. The last line is `N passed, N failed`.
// With arguments (`npm test -- packages/streams`) it runs only the tests they select.

import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { root, setup } from './setup.mjs'
import { countTests } from './test-count.mjs'

// Biome colours what it writes into a pipe as well, unless told.
const colors = process.stdout.isTTY ? '--colors=force' : '--colors=off'

const CHECKS = [
  { name: 'format and lint', command: ['biome', 'ci', '--error-on-warnings', colors] },
  { name: 'types', command: ['tsc', '-p', 'tsconfig.json'] },
  { name: 'boundaries', command: ['turbo', 'boundaries'] },
]

const { env: setupEnv } = await setup({ needs: ['redis', 'postgresql', 'prometheus'] })
const env = { ...setupEnv, TURBO_TELEMETRY_DISABLED: '1', DO_NOT_TRACK: '1', TURBO_NO_UPDATE_NOTIFIER: '1' }
const selection = process.argv.slice(2)
const total = { passed: 0, failed: 0 }

// All steps run even after one has failed, so that one run tells everything there is to repair.
if (selection.length === 0) {
  for (const check of CHECKS) add(await runCheck(check))
}
add(await runTests(selection))

console.log(`\n${total.passed} passed, ${total.failed} failed`)
process.exitCode = total.failed === 0 ? 0 : 1

function add({ passed, failed }) {
  total.passed += passed
  total.failed += failed
}

async function runCheck({ name, command }) {
  const finish = header(name, command)
  const { code, output } = await run(command, 'pipe')
  if (code !== 0) console.log(output.trimEnd())
  finish(code === 0)
  return code === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 }
}

async function runTests(selection) {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
  const reportFile = join(folder, 'report.json')
  const command = ['vitest', 'run', ...selection]
  const finish = header('tests', command)
  // Inherited, because the tests take the longest and a person wants to see them go by.
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${reportFile}`]
  const { code } = await run([...command, ...reporters], 'inherit')
  const count = countTests(readReport(reportFile), code)
  rmSync(folder, { recursive: true, force: true })
  finish(count.failed === 0)
  return count
}

function readReport(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return undefined
  }
}

function header(name, command) {
  console.log(`\n── ${name} · ${command.join(' ')}`)
  const startedAt = performance.now()
  return (isGood) => {
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
    console.log(`${isGood ? 'ok' : 'FAILED'} · ${name} · ${seconds} s`)
  }
}

function run([command, ...args], output) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      env,
      stdio: ['ignore', output, output],
      shell: process.platform === 'win32',
    })
    let text = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (chunk) => {
        text += chunk
      })
    }
    child.on('error', (error) => resolve({ code: 127, output: error.message }))
    child.on('close', (code) => resolve({ code: code ?? 1, output: text }))
  })
}
