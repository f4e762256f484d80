const pathsOf = (names: readonly string[]) => names.map((name) => `test/e2e/${name}.test.ts`)

/**
 * The end-to-end tests that `npm test` runs on a Redis Cluster too, besides on one server: each of them works with many partitions
 * in another way. `npm run e2e -- --redis cluster` runs all.
 */
export const CLUSTER_SELECTION = pathsOf(['accountability', 'events-cli', 'pull', 'schedules', 'seeds'])

/** `up` is about the Redis that `millrace up` starts and keeps; `partitions-away` and `encryption` start their own in every run. */
export const NOT_ON_CLUSTER = pathsOf(['up', 'partitions-away', 'encryption'])
