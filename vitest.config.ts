import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { type RedisKind, SELECTIONS, toldOf } from './test/e2e/redis-kinds.ts'

// One configuration for the whole house. Every test file starts the real servers it needs, so files are independent
// and run side by side; within a file tests run in order.
export default defineConfig({
  test: {
    environment: 'node',
    // Where `npm test` keeps what Node has compiled: the apps that tests start are up in half the processor time.
    env: { NODE_COMPILE_CACHE: fileURLToPath(new URL('node_modules/.cache/compiled', import.meta.url)) },
    // Files share three processes: to start one for each, and to load all modules anew, was a fifth of the time.
    isolate: false,
    setupFiles: [fileURLToPath(new URL('test/set-up.ts', import.meta.url))],
    // Tests wait for signals, so a long limit costs nothing; a busy machine must not fail them.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // Most tests wait for a process or a lease, so three share two cores; more only make real servers late.
    maxWorkers: 3,
    passWithNoTests: false,
    allowOnly: false,
    projects: [
      {
        extends: true,
        test: {
          name: 'all',
          include: [
            'packages/*/test/**/*.test.ts',
            'apps/*/test/**/*.test.ts',
            'examples/*/test/**/*.test.ts',
            'test/**/*.test.ts',
          ],
        },
      },
      // Some of them once more, on several Redis servers.
      ...Object.entries(SELECTIONS)
        .filter(([, { inNpmTest }]) => inNpmTest.length > 0)
        .map(([kind, { inNpmTest }]) => ({
          extends: true as const,
          test: { name: kind, env: toldOf(kind as RedisKind), include: [...inNpmTest] },
        })),
    ],
  },
})
