// `npm run fuzz -- --minutes 10 --seed 7`: a platform of its own, asked for what nobody would ask for.

import { parseArgs } from 'node:util'
import { findPlace, startUp } from '../e2e/platform.ts'
import { fuzz } from './fuzz.ts'
import { prepare } from './prepare.ts'

const HELP = `npm run fuzz -- [--minutes 1] [--seed <number>]

Starts Millrace in a folder of its own and sends requests made of its OpenAPI documents. Ends with 1 when one of them
got a 5xx or no answer, and prints them; the same seed makes the same requests.`

const { values } = parseArgs({
  options: { minutes: { type: 'string' }, seed: { type: 'string' }, help: { type: 'boolean' } },
})
if (values.help) {
  console.log(HELP)
  process.exit(0)
}
const minutes = Number(values.minutes ?? 1)
const seed = Number(values.seed ?? Date.now() % 1_000_000)
if (!(minutes > 0) || !Number.isInteger(seed)) {
  console.error(HELP)
  process.exit(1)
}

const place = await findPlace()
const platform = await startUp(place)
const { dispatcher, scheduler, audit } = place.urls
const known = await prepare(dispatcher)
console.log(`seed ${seed}, ${minutes} min`)
const result = await fuzz({
  ...{ urls: { dispatcher, scheduler, audit }, seed, known },
  ...{ requests: Number.POSITIVE_INFINITY, forMs: minutes * 60_000 },
})
const alive = await Promise.all([dispatcher, scheduler, audit].map((url) => fetch(`${url}/livez`).then(({ ok }) => ok)))
await platform.stop()
await place.remove()
console.log(`${result.requests} requests:`, result.statuses)
for (const { app, what, request } of result.faults.slice(0, 20))
  console.log(`\n${app} ${what}\n  ${request.method} ${request.path}\n  ${request.body?.slice(0, 2000) ?? ''}`)
console.log(`${result.faults.length} faults${alive.every(Boolean) ? '' : ', and an app is gone'}`)
process.exit(result.faults.length > 0 || !alive.every(Boolean) ? 1 : 0)
