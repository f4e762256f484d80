import { LAYOUT_VERSION, readDurability, readLayout } from '@millrace/streams'
import type { Redis } from 'ioredis'
import { clockFinding, redisAheadMs } from './clock.ts'
import { type Finding, fail, ok, unless, warn } from './finding.ts'

/** Above this share of `maxmemory` intake may be refused soon; the alert on it looks at the same. */
const MEMORY_FULL = 0.9

/** What a Redis must be for Millrace to keep its word. `isLocal`: nobody but this machine can reach it. */
export async function checkRedis(redis: Redis, { isLocal }: { isLocal: boolean }): Promise<Finding[]> {
  return [...(await checkServer(redis, { isLocal, role: 'primary' })), await layout(redis)]
}

/** The same of one server, whatever is on it. A replica is to be fit for the day on which it is the primary. */
export async function checkServer(
  redis: Redis,
  { isLocal, role: wanted }: { isLocal: boolean; role: 'primary' | 'replica' },
): Promise<Finding[]> {
  const info = await redis.info()
  const field = (name: string) => new RegExp(`^${name}:(.*)$`, 'm').exec(info)?.[1]?.trim() ?? ''
  return [
    version(field('valkey_version') || field('redis_version')),
    ...(wanted === 'primary' ? [role(field('role'))] : []),
    eviction(field('maxmemory_policy'), Number(field('evicted_keys'))),
    await durability(redis),
    disk(field),
    memory(Number(field('used_memory')), Number(field('maxmemory'))),
    clockFinding('redis.clock', -(await redisAheadMs(redis)), 'this machine'),
    await password(redis, isLocal),
  ]
}

function version(found: string): Finding {
  const says = `version ${found}`
  return unless(
    'redis.version',
    says,
    Number(found.split('.')[0]) < 7 && fail('redis.version', says, 'Install Redis 7.0 or newer, or Valkey.'),
  )
}

function role(found: string): Finding {
  if (found === 'master') return ok('redis.role', 'takes writes')
  return fail('redis.role', `is a ${found}: it refuses writes`, 'Let REDIS_URL name the primary, or its sentinels.')
}

function eviction(policy: string, evicted: number): Finding {
  const check = 'redis.eviction'
  if (policy !== 'noeviction') {
    const says = `maxmemory-policy is ${policy}, which may drop accepted jobs`
    return fail(check, says, 'CONFIG SET maxmemory-policy noeviction, and the same in redis.conf.')
  }
  if (evicted === 0) return ok(check, 'maxmemory-policy is noeviction, and nothing was ever evicted')
  const fix = 'Look for what is missing: GET /queues/{namespace}/{queue}/balance, millrace audit verify.'
  return fail(check, `${evicted} keys were evicted since Redis started, before the policy was noeviction`, fix)
}

async function durability(redis: Redis): Promise<Finding> {
  const check = 'redis.durability'
  const { durability: found, replicas = 0 } = await readDurability(redis)
  const always = 'CONFIG SET appendonly yes, CONFIG SET appendfsync always, and the same in redis.conf.'
  const beside = replicas > 0 ? `; ${replicas} in step as replicas` : ''
  switch (found) {
    case 'fsync':
      return ok(check, `every answer is on disk${beside}`)
    case 'everysec':
      return warn(check, `a loss of power may cost the last second of accepted jobs${beside}`, always)
    case 'unknown':
      return warn(
        check,
        `the server does not tell what it does with accepted jobs${beside}`,
        'Allow CONFIG GET, or look at its settings.',
      )
    case 'memory':
      return fail(check, `a restart of Redis costs every accepted job${beside}`, always)
    default:
      return found satisfies never
  }
}

function disk(field: (name: string) => string): Finding {
  const broken = ['aof_last_write_status', 'aof_last_bgrewrite_status', 'rdb_last_bgsave_status'].filter(
    (name) => field(name) !== '' && field(name) !== 'ok',
  )
  if (broken.length === 0) return ok('redis.disk', 'its last writes went well')
  const fix = 'Is its disk full, or its folder not writable? The log of Redis says which.'
  return fail('redis.disk', `could not write: ${broken.join(', ')}`, fix)
}

function memory(used: number, limit: number): Finding {
  const check = 'redis.memory'
  const mib = (bytes: number) => `${Math.round(bytes / 1_048_576)} MiB`
  if (limit === 0) {
    const fix =
      'CONFIG SET maxmemory to what the machine can spare: then producers are refused in time, and nothing is lost.'
    return warn(check, `takes ${mib(used)}, without a limit: the system may end it when memory runs out`, fix)
  }
  const says = `takes ${mib(used)} of ${mib(limit)}`
  const fix = 'Raise maxmemory, or see what grows: backlog, dead letters, a log that is not read.'
  return unless(check, says, used / limit > MEMORY_FULL && fail(check, says, fix))
}

/** What was fixed at first boot, by the server that has the registry. */
export async function layout(redis: Redis): Promise<Finding> {
  const check = 'redis.layout'
  const stored = await readLayout(redis)
  if (!stored) {
    return fail(check, 'no platform has used this Redis yet', 'Start a dispatcher on it, or correct REDIS_URL.')
  }
  const says = `layout ${stored.layout}, ${stored.partitions} ${stored.partitions === 1 ? 'partition' : 'partitions'}`
  const fix = `This version reads layouts up to ${LAYOUT_VERSION}: use the version of Millrace that wrote it, or the upgrade that its changelog names.`
  return unless(check, says, stored.layout > LAYOUT_VERSION && fail(check, says, fix))
}

async function password(redis: Redis, isLocal: boolean): Promise<Finding> {
  const check = 'redis.password'
  if (isLocal) return ok(check, 'only this machine reaches it')
  if (redis.options.password) return ok(check, 'asks for a password')
  const fix =
    'Set requirepass or ACL users, and REDIS_URL=redis://user:password@host; let only the platform reach its port.'
  return fail(check, 'let us in without a password: whoever reaches it may do everything', fix)
}
