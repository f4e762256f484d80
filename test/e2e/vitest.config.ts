import { defineConfig } from 'vitest/config'
// @boundaries-ignore the configuration of the house is no workspace to import by name
import house from '../../vitest.config.ts'
import { NOT_ON_CLUSTER } from './on-cluster.ts'

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
