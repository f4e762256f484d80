import type { Redis } from 'ioredis'

/** Bytes of memory that hold data: all that Redis uses without the buffers of its clients and its append-only file, which come and go. */
export async function usedMemory(redis: Redis): Promise<number> {
  const info = await redis.info('memory')
  const field = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0)
  return field('used_memory') - field('mem_clients_normal') - field('mem_aof_buffer')
}
