import { defineConfig } from 'vitest/config'
import { NOT_ON_CLUSTER } from './test/e2e/on-cluster.ts'
import house from './vitest.config.ts'

/** All of the end-to-end tests, on a Redis Cluster: `npm run e2e -- --redis cluster`. */
export default defineConfig({
  test: {
    ...house.test,
    projects: [
      {
        extends: true,
        test: {
          name: 'cluster',
          env: { TEST_REDIS_KIND: 'cluster' },
          include: ['test/e2e/*.test.ts'],
          exclude: NOT_ON_CLUSTER,
        },
      },
    ],
  },
})
