import { Pool } from 'undici'
import { Meter, type MeterOptions } from '../meter.ts'
import { answerWith } from './answers.ts'

// A producer over HTTP: the same request again and again on so many connections, one at a time on each.
export interface Poster {
  readonly url: string
  readonly path: string
  readonly body: string
  readonly connections: number
  /** How many jobs one request holds. */
  readonly jobs: number
  readonly meter: MeterOptions
}

answerWith({
  async run({ url, path, body, connections, jobs, meter: options }: Poster) {
    const meter = new Meter({ ...options, pids: { ...options.pids, client: process.pid } })
    const pool = new Pool(url, { connections, pipelining: 1 })
    let running = true
    const post = () => {
      if (!running) return
      let status = 0
      let answer = ''
      pool.dispatch(
        { method: 'POST', path, headers: { 'content-type': 'application/json' }, body },
        {
          onRequestStart() {},
          onResponseStart(_controller, code) {
            status = code
          },
          onResponseData(_controller, chunk) {
            // Read in full, as any client would; only what was refused is of interest.
            if (status >= 300) answer += chunk
          },
          onResponseEnd() {
            if (status >= 300) throw new Error(`${path} answered ${status}: ${answer}`)
            meter.count(jobs)
            post()
          },
          onResponseError(_controller, error) {
            if (running) throw error
          },
        },
      )
    }
    for (let connection = 0; connection < connections; connection++) post()
    const metered = await meter.done
    running = false
    await pool.destroy()
    return metered
  },
})
