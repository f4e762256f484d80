import { Pool } from 'undici'
import { answerWith } from './answers.ts'

// The requests of a push dispatcher, made from memory: no queue, no log, no retries.
export interface BareLoop {
  readonly url: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly inFlight: number
  /** How many requests; all are answered at the end. */
  readonly count: number
  /** `dispatch`: undici's lowest interface. `request`: as people write it, the body consumed. */
  readonly style: 'dispatch' | 'request'
}

function send(pool: Pool, { path, headers, body, style }: BareLoop, done: () => void): void {
  const request = { method: 'POST', path, headers, body } as const
  if (style === 'request') {
    pool
      .request(request)
      .then(({ body: answer }) => answer.text())
      .then(done)
    return
  }
  pool.dispatch(request, {
    onRequestStart() {},
    onResponseStart() {},
    onResponseData() {},
    onResponseEnd: done,
    onResponseError(_controller, error) {
      throw error
    },
  })
}

let pool: Pool | undefined

answerWith({
  run(loop: BareLoop) {
    pool ??= new Pool(loop.url, { connections: loop.inFlight, pipelining: 1 })
    const open = pool
    return new Promise<void>((resolve) => {
      let sent = 0
      let answered = 0
      const next = () => {
        sent++
        send(open, loop, () => {
          if (++answered === loop.count) resolve()
          if (sent < loop.count) next()
        })
      }
      while (sent < Math.min(loop.inFlight, loop.count)) next()
    })
  },
})
