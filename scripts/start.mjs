// `npm start`: makes the machine ready, then runs `millrace up` with the example service, until Ctrl-C.

import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { join } from 'node:path'
import { root, setup } from './setup.mjs'

// One Ctrl-C arrives more than once: the terminal signals everybody in the foreground, and npm passes its own on to us.
// A person who means it a second time is slower than this.
const SAME_KEYSTROKE_MS = 500

const { node, env } = await setup({ needs: ['redis'], redisUrlSuffices: true })
const given = process.argv.slice(2)
const args = given.includes('--no-example') ? given : ['--example', ...given]

// In a process group of its own, so that a signal reaches it through us alone, exactly once. Otherwise the second copy of
// one Ctrl-C would look like the second Ctrl-C, which means "do not drain, end now".
const child = spawn(node, [join(root, 'apps/cli/bin/millrace.mjs'), 'up', ...args], {
  cwd: root,
  env,
  // The channel tells `up` when we are gone, killed or not: it then drains rather than run on unseen.
  stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  detached: true,
})

let lastSignalAt = Number.NEGATIVE_INFINITY
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    const now = performance.now()
    if (now - lastSignalAt < SAME_KEYSTROKE_MS) return
    lastSignalAt = now
    // A terminal that was closed asks for the same as one that says "end": drain and go.
    child.kill(signal === 'SIGHUP' ? 'SIGTERM' : signal)
  })
}

child.on('error', (error) => {
  console.error(`\nCannot run ${node}: ${error.message}\n`)
  process.exit(1)
})

// While the child drains this process waits, so that npm, and the prompt, do not come back before everything has ended.
child.on('exit', (code, signal) => {
  process.exit(code ?? 128 + constants.signals[signal])
})
