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
}

type Entry = [id: string, fields: [name: string, data: string]]

answerWith({
  async run({ socketPath, stream, group, url, path, inFlight }: StreamLoop) {
    const redis = new Redis({ path: socketPath })
    const pool = new Pool(url, { connections: inFlight, pipelining: 1 })
    const waiting: Entry[] = []
    let answered: string[] = []
    let free = inFlight
    let reading = false
    const read = async () => {
      if (reading || waiting.length > inFlight) return
      reading = true
      const reply = await redis.xreadgroup('GROUP', group, 'loop', 'COUNT', 2 * inFlight, 'STREAMS', stream, '>')
      reading = false
      const [, entries] = (reply as [string, Entry[]][] | null)?.[0] ?? ['', []]
      waiting.push(...entries)
      begin()
    }
    const acknowledge = () => {
      const ids = answered
      answered = []
      void redis.xack(stream, group, ...ids)
      void redis.xdel(stream, ...ids)
    }
    const begin = () => {
      while (free > 0) {
        const entry = waiting.shift()
        if (!entry) break
        free--
        send(entry)
      }
      void read()
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
  },
})
