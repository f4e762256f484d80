import { defineConfig } from 'vitest/config'
import { type RedisKind, SELECTIONS, toldOf } from './test/e2e/redis-kinds.ts'
import house from './vitest.config.ts'

/** All of the end-to-end tests on each kind of Redis, one of which a run takes: `npm run e2e -- --redis <kind>`. */
export default defineConfig({
  test: {
    ...house.test,
    projects: Object.entries(SELECTIONS).map(([kind, { notHere }]) => ({
      extends: true as const,
      test: {
        name: kind,
        env: toldOf(kind as RedisKind),
        include: ['test/e2e/*.test.ts'],
        exclude: [...notHere],
      },
    })),
  },
})
