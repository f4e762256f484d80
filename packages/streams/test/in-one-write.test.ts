import { describe, expect, it } from 'vitest'
import { claim, createPartitions, inOneWrite, settle } from '../src/index.ts'
import { ADDRESS, useBench } from './fixture.ts'
import { done } from './prefetch-fixture.ts'

const bench = useBench({ consumer: 'one' })
/** Bytes that a connection was given and has not sent. */
const held = () => bench.partition.redis.stream.writableLength

describe('what is sent in one write', () => {
  it('is held until all of it is there, and then answered', async () => {
    await bench.add('a', 'b')
    const [first] = await bench.take('one', { want: 1 })
    const call = { consumer: 'one', address: ADDRESS }
    const sizes: number[] = []
    const [settled, claimed] = await inOneWrite(bench.partition, () => {
      const settling = settle(bench.partition, { ...call, attempts: [{ job: first!, settlement: done }] })
      sizes.push(held())
      const claiming = claim(bench.partition, { ...call, concurrency: 10, want: 10 })
      sizes.push(held())
      return Promise.all([settling, claiming])
    })
    expect(sizes[0], 'the first waits for the second').toBeGreaterThan(0)
    expect(sizes[1]).toBeGreaterThan(sizes[0] as number)
    expect(held()).toBe(0)
    expect(settled).toEqual(['settled'])
    expect(claimed).toMatchObject({ kind: 'claimed', jobs: [{ data: '"b"' }] })
  })

  it('goes out as well when what sends it fails', async () => {
    const sending: Promise<string>[] = []
    const failing = () =>
      inOneWrite(bench.partition, () => {
        sending.push(bench.partition.redis.ping())
        throw new Error('half way')
      })
    expect(failing).toThrow('half way')
    expect(await Promise.all(sending)).toEqual(['PONG'])
    expect(await bench.partition.redis.ping()).toBe('PONG')
  })

  it('needs no connection: one that is not there yet says so as ever', async () => {
    const redis = bench.server.client().duplicate({ lazyConnect: true, enableOfflineQueue: false })
    const partition = createPartitions(redis, 1).of(ADDRESS)
    await expect(inOneWrite(partition, () => redis.ping())).rejects.toThrow()
    redis.disconnect()
  })
})
