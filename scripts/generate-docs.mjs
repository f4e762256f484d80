// `npx node scripts/generate-docs.mjs`: writes the pages of docs/ that are lists of what the code has. `npx` because it
// needs Node 24, which is in node_modules; unlike the rest of this folder it is no part of `npm start`.
// test/docs/generated.test.ts fails when a committed page is not what this makes.

import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { environmentTable } from './docs/environment.mjs'
import { errorsPage } from './docs/errors.mjs'
import { metricsPage } from './docs/metrics.mjs'
import { redisKeysPage } from './docs/redis-keys.mjs'

const root = new URL('../', import.meta.url)
const NOTE = '<!-- Made by `npx node scripts/generate-docs.mjs`. Do not edit: change the code that it lists. -->\n\n'

/** Every generated page by its path from the top of the repository. */
export async function generateDocs() {
  return new Map([
    ['docs/redis-keys.md', NOTE + redisKeysPage()],
    ['docs/errors.md', NOTE + errorsPage()],
    ['docs/metrics.md', NOTE + metricsPage()],
    ['docs/operations.md', withPart('docs/operations.md', 'environment', await environmentTable())],
  ])
}

/** A page written by hand with one generated part, between two comments that name it. */
function withPart(path, name, part) {
  const [start, end] = [`<!-- generated: ${name} -->`, `<!-- end of generated: ${name} -->`]
  const text = readFileSync(new URL(path, root), 'utf8')
  const [from, to] = [text.indexOf(start), text.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`${path} has no part "${start}" … "${end}".`)
  return `${text.slice(0, from + start.length)}\n\n${part}\n${text.slice(to)}`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [path, text] of await generateDocs()) {
    writeFileSync(new URL(path, root), text)
    console.log(path)
  }
}
