// `npm run e2e`: the end-to-end tests, on one Redis server, or all of them on a Redis Cluster with `-- --redis cluster`. More
// arguments select among them: `npm run e2e -- --redis cluster pull`.

import { spawnSync } from 'node:child_process'
import { parseArgs } from 'node:util'
import { root, setup } from './setup.mjs'

const { values, positionals } = parseArgs({
  options: { redis: { type: 'string', default: 'single' } },
  allowPositionals: true,
})
if (!['single', 'cluster'].includes(values.redis)) {
  console.error(`--redis is single or cluster, not ${values.redis}`)
  process.exit(2)
}

const { env } = await setup({ needs: ['redis', 'postgresql'] })
const where = values.redis === 'cluster' ? ['--config', 'vitest.cluster.config.ts'] : ['--project', 'all', 'test/e2e/']
const { status } = spawnSync('vitest', ['run', ...where, ...positionals], {
  cwd: root,
  env,
  stdio: 'inherit',
  shell: process.platform === 'win32',
})
process.exitCode = status ?? 1
