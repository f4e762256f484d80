/** What the end-to-end tests run on: one server, a Redis Cluster, or a primary with its replica behind sentinels. */
export type RedisKind = 'single' | 'cluster' | 'sentinel'

interface Selection {
  /** What `npm test` runs on this kind too, besides on one server: what meets it in another way. `npm run e2e -- --redis <kind>` runs all. */
  readonly inNpmTest: readonly string[]
  /** What has nothing to find there. */
  readonly notHere: readonly string[]
}

const pathsOf = (...names: readonly string[]) => names.map((name) => `test/e2e/${name}.test.ts`)

/** They start their own servers in every run. */
const WITH_THEIR_OWN = ['partitions-away', 'encryption']

export const SELECTIONS: Readonly<Record<RedisKind, Selection>> = {
  single: { inNpmTest: [], notHere: [] },
  // Each of them works with many partitions in another way.
  cluster: {
    inNpmTest: pathsOf('accountability', 'events-cli', 'pull', 'schedules', 'seeds'),
    // `up` is about the Redis that `millrace up` starts and keeps.
    notHere: pathsOf('up', ...WITH_THEIR_OWN),
  },
  // All others meet one primary there, as everywhere; this one sees it replaced.
  sentinel: { inNpmTest: pathsOf('failover'), notHere: pathsOf(...WITH_THEIR_OWN) },
}

/** The environment by which the projects of the vitest configurations tell a test where it runs. */
export const toldOf = (kind: RedisKind) => ({ TEST_REDIS_KIND: kind })

/** Where this run is. */
export function redisKind(): RedisKind {
  const kind = process.env.TEST_REDIS_KIND ?? 'single'
  if (!(kind in SELECTIONS)) throw new Error(`TEST_REDIS_KIND is ${Object.keys(SELECTIONS).join(' or ')}, not ${kind}`)
  return kind as RedisKind
}
