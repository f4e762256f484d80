import { writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import type { Measure, Measurement } from './measure.ts'
import { push } from './measures/push.ts'

const MEASURES: readonly Measure[] = [push]
const FSYNC = ['always', 'everysec'] as const

// `npm run bench`, or `npm run bench -- push` for some of them. Ratios within one run can be compared between machines;
// the absolute figures cannot.
const wanted = process.argv.slice(2)
const unknown = wanted.filter((name) => !MEASURES.some((measure) => measure.name === name))
if (unknown.length > 0) {
  console.error(
    `There is no measurement ${unknown.join(', ')}; there are: ${MEASURES.map(({ name }) => name).join(', ')}`,
  )
  process.exit(1)
}

const results: Measurement[] = []
for (const measure of MEASURES.filter(({ name }) => wanted.length === 0 || wanted.includes(name))) {
  for (const appendfsync of FSYNC) {
    console.error(`measuring ${measure.name}, appendfsync ${appendfsync} …`)
    results.push(await measure.run({ appendfsync }))
  }
}

console.log(`\n| what | Millrace | peer | ratio |\n|---|---|---|---|`)
for (const { what, ours, peer, peerName, unit, ratio } of results)
  console.log(`| ${what} | ${ours} ${unit} | ${peerName} ${peer} ${unit} | ${ratio} |`)
const report = {
  at: new Date().toISOString(),
  node: process.version,
  cpu: cpus()[0]?.model,
  cores: cpus().length,
  results,
}
const file = new URL('./results.json', import.meta.url)
writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`)
console.log(`\nwritten to bench/results.json`)
process.exit(0)
