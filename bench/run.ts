import { writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { fail } from './child.ts'
import { type Command, HELP, parseCommandLine } from './command-line.ts'
import { readSoakJobs } from './config.ts'
import type { Appendfsync, Context, Measure, Row } from './measure.ts'
import { profilePush } from './profile.ts'
import { middleOf, type Result, toProcessorTable, toTable } from './report.ts'

// Ten times the slowest measure: something hangs, and nobody should wait for it for ever.
const LIMIT_MS = 60 * 60_000

const command = readCommand()
if (command.help) {
  console.log(HELP)
  process.exit(0)
}
if (command.profile) {
  for (const appendfsync of command.appendfsync)
    await profilePush({ appendfsync, count: command.quick ? 1000 : 30_000 })
} else {
  await runMeasures(command)
}
process.exit(0)

function readCommand(): Command {
  try {
    return parseCommandLine(process.argv.slice(2))
  } catch (error) {
    return fail(`${(error as Error).message}\nnpm run bench -- --help says what there is.`)
  }
}

async function runMeasures({ measures, appendfsync, rounds, quick, out }: Command): Promise<void> {
  const soakJobs = readSoakJobs()
  const file = out ?? fileURLToPath(new URL('./results.json', import.meta.url))
  const results: Result[] = []
  for (const measure of measures) {
    for (const each of measure.appendfsync.filter(
      (one) => appendfsync.includes(one) || measure.appendfsync.length === 1,
    )) {
      const rows = middleOf(await runRounds(measure, { appendfsync: each, rounds, quick, soakJobs }))
      results.push(...rows.map((row) => ({ measure: measure.name, appendfsync: each, ...row })))
      // After each measure, so that a run that is broken off has left what it came to.
      save(file, results, { quick, rounds })
    }
  }
  console.log(`\n${toTable(results)}\n\n${toProcessorTable(results)}\n\nwritten to ${file}`)
  if (quick) console.log('These are figures of a quick run: they show that the measures work and nothing else.')
}

interface RunOptions {
  readonly appendfsync: Appendfsync
  readonly rounds: number
  readonly quick: boolean
  readonly soakJobs: number
}

async function runRounds(measure: Measure, { appendfsync, rounds, quick, soakJobs }: RunOptions): Promise<Row[][]> {
  const all: Row[][] = []
  for (let round = 1; round <= rounds; round++) {
    const place = `${measure.name}, appendfsync ${appendfsync}${rounds > 1 ? `, round ${round} of ${rounds}` : ''}`
    const context: Context = {
      appendfsync,
      soakJobs: quick ? Math.min(soakJobs, 10_000) : soakJobs,
      size: (full, small) => (quick ? small : full),
      say: (text) => console.error(`${new Date().toISOString().slice(11, 19)} ${place}: ${text}`),
    }
    const watchdog = setTimeout(() => fail(`${place}: no end after ${LIMIT_MS / 60_000} minutes`), LIMIT_MS)
    all.push(await measure.run(context))
    clearTimeout(watchdog)
  }
  return all
}

function save(file: string, results: readonly Result[], how: { quick: boolean; rounds: number }): void {
  const machine = { node: process.version, cpu: cpus()[0]?.model, cores: cpus().length }
  writeFileSync(file, `${JSON.stringify({ at: new Date().toISOString(), ...machine, ...how, results }, null, 2)}\n`)
}
