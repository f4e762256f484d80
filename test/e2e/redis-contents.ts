import type { Redis } from 'ioredis'

/** Everything that Redis holds: the keys, the values of strings, hashes, sets and sorted sets, and the streams. */
export async function redisContents(redis: Redis): Promise<string> {
  const dumped = await Promise.all((await redis.keys('*')).map(async (key) => [key, await contentsOf(redis, key)]))
  return JSON.stringify(dumped)
}

async function contentsOf(redis: Redis, key: string): Promise<unknown> {
  switch (await redis.type(key)) {
    case 'hash':
      return redis.hgetall(key)
    case 'stream':
      return redis.xrange(key, '-', '+')
    case 'zset':
      return redis.zrange(key, '0', '-1')
    case 'set':
      return redis.smembers(key)
    default:
      return redis.get(key)
  }
}
