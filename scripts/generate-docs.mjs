// `npx node scripts/generate-docs.mjs`: writes the pages of docs/ that are lists of what the code has, and what
// Prometheus and Grafana read of deploy/. `npx` because it
// needs Node 24, which is in node_modules; unlike the rest of this folder it is no part of `npm start`.
// test/docs/generated.test.ts fails when a committed page is not what this makes.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { monitoringFiles, runbook } from '../packages/monitoring/src/index.ts'
import { environmentTable } from './docs/environment.mjs'
import { errorsPage } from './docs/errors.mjs'
import { limitsPage } from './docs/limits.mjs'
import { metricsPage } from './docs/metrics.mjs'
import { redisKeysPage } from './docs/redis-keys.mjs'

const root = new URL('../', import.meta.url)
const YAML_NOTE = '# Made by `npx node scripts/generate-docs.mjs` from packages/monitoring. Do not edit.\n'
const NOTE = '<!-- Made by `npx node scripts/generate-docs.mjs`. Do not edit: change the code that it lists. -->\n\n'

/** Every generated page by its path from the top of the repository. */
export async function generateDocs() {
  return new Map([
    ['docs/redis-keys.md', NOTE + redisKeysPage()],
    ['docs/errors.md', NOTE + errorsPage()],
    ['docs/limits.md', NOTE + limitsPage()],
    ['docs/metrics.md', NOTE + metricsPage()],
    [
      'docs/operations.md',
      withParts('docs/operations.md', { environment: await environmentTable(), alerts: runbook() }),
    ],
    ...[...monitoringFiles()].map(([path, text]) => [path, path.endsWith('.yml') ? YAML_NOTE + text : text]),
  ])
}

/** A page written by hand with generated parts, each between two comments that name it. */
function withParts(path, parts) {
  const text = readFileSync(new URL(path, root), 'utf8')
  return Object.entries(parts).reduce((page, [name, part]) => withPart(page, { path, name, part }), text)
}

function withPart(text, { path, name, part }) {
  const [start, end] = [`<!-- generated: ${name} -->`, `<!-- end of generated: ${name} -->`]
  const [from, to] = [text.indexOf(start), text.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`${path} has no part "${start}" … "${end}".`)
  return `${text.slice(0, from + start.length)}\n\n${part}\n${text.slice(to)}`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [path, text] of await generateDocs()) {
    mkdirSync(new URL('./', new URL(path, root)), { recursive: true })
    writeFileSync(new URL(path, root), text)
    console.log(path)
  }
}
