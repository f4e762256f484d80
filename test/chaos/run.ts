import { parseArgs } from 'node:util'
import { runFaults } from './chaos.ts'
import { LONG } from './settings.ts'

const HELP = `npm run chaos -- [options]

Runs a whole platform under load and does to it, at random, what happens to machines: processes that are killed or stand still,
Redis that dies or stops, networks that are cut, stall, are half-open or slow, full disks, databases that die, clocks that are off.
Then it waits until everything has come to rest and checks every promise. It needs redis-server, and PostgreSQL for half of the seeds.

  --minutes <n>   how long faults come (5 unless told)
  --seed <n>      the same seed draws the same faults; a new one each time unless told
  --store <name>  sqlite or postgres; by the seed unless told
  --help          this page

Exit code 1, with the seed, when a promise was broken.`

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    seed: { type: 'string' },
    store: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
})
if (values.help) {
  console.log(HELP)
  process.exit(0)
}
const minutes = Number(values.minutes)
const seed = Number(values.seed ?? Math.floor(Math.random() * 1_000_000))
const store = values.store ?? (seed % 2 === 0 ? 'sqlite' : 'postgres')
if (!(minutes > 0) || !Number.isInteger(seed) || (store !== 'sqlite' && store !== 'postgres')) {
  console.error(
    '--minutes takes a number above 0, --seed a whole number, --store sqlite or postgres. --help says more.',
  )
  process.exit(2)
}
const startedAt = performance.now()
const say = (line: string) =>
  console.log(`${((performance.now() - startedAt) / 1000).toFixed(1).padStart(7)} s  ${line}`)
console.log(`seed ${seed}`)
const { report, violations } = await runFaults({ ...LONG, seed, store, durationMs: minutes * 60_000, say })
console.log(`\n${report}`)
if (violations.length > 0) {
  console.log(
    `\n${violations.length} violations. To repeat: npm run chaos -- --minutes ${minutes} --seed ${seed} --store ${store}`,
  )
}
process.exit(violations.length === 0 ? 0 : 1)
