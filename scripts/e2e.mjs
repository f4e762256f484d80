// `npm run e2e`: the end-to-end tests, on one Redis server, or with `-- --redis cluster` or `-- --redis sentinel` on several. More
// arguments select among them: `npm run e2e -- --redis cluster pull`.

import { spawnSync } from 'node:child_process'
import { parseArgs } from 'node:util'
import { root, setup } from './setup.mjs'

const KINDS = ['single', 'cluster', 'sentinel']
const { values, positionals } = parseArgs({
  options: { redis: { type: 'string', default: 'single' } },
  allowPositionals: true,
})
if (!KINDS.includes(values.redis)) {
  console.error(`--redis is ${KINDS.join(', ')}, not ${values.redis}`)
  process.exit(2)
}

const { env } = await setup({ needs: ['redis', 'postgresql'] })
const where = ['--config', 'vitest.e2e.config.ts', '--project', values.redis]
const { status } = spawnSync('vitest', ['run', ...where, ...positionals], {
  cwd: root,
  env,
  stdio: 'inherit',
  shell: process.platform === 'win32',
})
process.exitCode = status ?? 1
