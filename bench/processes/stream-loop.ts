import { Redis } from 'ioredis'
import { Pool } from 'undici'
import { answerWith } from './answers.ts'

// The loop that people write themselves on a stream of Redis, as well as it can be written: entries are read ahead in batches, what
// has been answered in one turn of the event loop is acknowledged and deleted together. Nothing else: no limit that others share, no
// retry, no headers, no log.
export interface StreamLoop {
  readonly socketPath: string
  readonly stream: string
  readonly group: string
  readonly url: string
  readonly path: string
  readonly inFlight: number
  /** How many entries there are; all are answered and acknowledged at the end. */
  readonly count: number
}

type Entry = [id: string, fields: [name: string, data: string]]

let redis: Redis | undefined
let pool: Pool | undefined

answerWith({
  run({ socketPath, url, inFlight, ...loop }: StreamLoop) {
    redis ??= new Redis({ path: socketPath })
    pool ??= new Pool(url, { connections: inFlight, pipelining: 1 })
    return work({ redis, pool, inFlight, ...loop })
  },
})

interface Work extends Omit<StreamLoop, 'socketPath' | 'url'> {
  readonly redis: Redis
  readonly pool: Pool
}

function work({ redis, pool, stream, group, path, inFlight, count }: Work): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const waiting: Entry[] = []
  let answered: string[] = []
  let free = inFlight
  let reading = false
  let read = 0
  let done = 0
  const readMore = async () => {
    if (reading || waiting.length > inFlight || read === count) return
    reading = true
    const reply = await redis.xreadgroup('GROUP', group, 'loop', 'COUNT', 2 * inFlight, 'STREAMS', stream, '>')
    reading = false
    const [, entries] = (reply as [string, Entry[]][] | null)?.[0] ?? ['', []]
    read += entries.length
    waiting.push(...entries)
    begin()
  }
  const acknowledge = async () => {
    const ids = answered
    answered = []
    await Promise.all([redis.xack(stream, group, ...ids), redis.xdel(stream, ...ids)])
    done += ids.length
    if (done === count) resolve()
  }
  const begin = () => {
    while (free > 0) {
      const entry = waiting.shift()
      if (!entry) break
      free--
      send(entry)
    }
    void readMore()
  }
  const send = ([id, [, body]]: Entry) =>
    pool.dispatch(
      { method: 'POST', path, headers: { 'content-type': 'application/json' }, body },
      {
        onRequestStart() {},
        onResponseStart(_controller, status) {
          if (status >= 300) throw new Error(`the endpoint answered ${status}`)
        },
        onResponseData() {},
        onResponseEnd() {
          free++
          if (answered.push(id) === 1) setImmediate(acknowledge)
          begin()
        },
        onResponseError(_controller, error) {
          throw error
        },
      },
    )
  begin()
  return promise
}
