import { parseArgs } from 'node:util'
import { runFaults } from './chaos.ts'
import { DEPLOYMENTS } from './deployment.ts'
import { LONG, LONG_ON_SEVERAL, SOAK } from './settings.ts'
import { watchMemory } from './soak.ts'

const HELP = `npm run chaos -- [options]
npm run soak -- [options]

Runs a whole platform under load and does to it, at random, what happens to machines: processes that are killed or stand still,
Redis that dies or stops, networks that are cut, stall, are half-open or slow, full disks, databases that die, clocks that are off.
Then it waits until everything has come to rest and checks every promise. It needs redis-server, and PostgreSQL for half of the seeds.

A soak has a fault each minute, kills no process, and also judges whether the memory of each and of Redis is level after warm-up.

  --minutes <n>   how long faults come (5 unless told)
  --seed <n>      the same seed draws the same faults; a new one each time unless told
  --store <name>  sqlite or postgres; by the seed unless told
  --redis <kind>  single; cluster: three primaries with a replica each, one of which is killed, gives a slot away or has its
                  network broken for everybody now and then; sentinel: a primary and a replica behind three sentinels, which
                  tell the addresses of the servers, so nothing can stand between them and a process: networks stay whole
  --help          this page

Exit code 1, with the seed, when a promise was broken.`

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    seed: { type: 'string' },
    store: { type: 'string' },
    redis: { type: 'string', default: 'single' },
    soak: { type: 'boolean', default: false },
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
const redis = DEPLOYMENTS.find((kind) => kind === values.redis)
if (redis === undefined || (values.soak && redis !== 'single')) {
  console.error(`--redis takes ${DEPLOYMENTS.join(', ')}; a soak is on a single one. --help says more.`)
  process.exit(2)
}
const memory = values.soak ? watchMemory(say) : undefined
const kind = redis === 'single' ? LONG : LONG_ON_SEVERAL
const settings = { ...(values.soak ? SOAK : kind), redis, ...(memory && { watch: memory.watch }) }
const run = await runFaults({ ...settings, seed, store, durationMs: minutes * 60_000, say })
const soaked = memory?.judge()
console.log(`\n${[run.report, ...(soaked ? [soaked.report, ...soaked.violations] : [])].join('\n\n')}`)
const violations = [...run.violations, ...(soaked?.violations ?? [])]
if (violations.length > 0) {
  const command = `npm run ${values.soak ? 'soak' : 'chaos'} -- --minutes ${minutes} --seed ${seed} --store ${store} --redis ${redis}`
  console.log(`\n${violations.length} violations. To have the same faults again: ${command}`)
}
process.exit(violations.length === 0 ? 0 : 1)
