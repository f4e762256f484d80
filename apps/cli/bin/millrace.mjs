#!/usr/bin/env node
// The command runs on Node 24. Started by an older Node, it hands over to the one that the project installed.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const REQUIRED_MAJOR = 24

if (Number(process.versions.node.split('.')[0]) >= REQUIRED_MAJOR) {
  await import('../src/main.ts')
} else {
  const node = fileURLToPath(new URL('../../../node_modules/.bin/node', import.meta.url))
  if (!existsSync(node)) {
    console.error(
      `millrace needs Node ${REQUIRED_MAJOR}, this is ${process.version}. Run "npm start" once: it installs the right one here.`,
    )
    process.exit(1)
  }
  const { status, signal } = spawnSync(node, process.argv.slice(1), { stdio: 'inherit' })
  process.exit(status ?? (signal ? 1 : 0))
}
