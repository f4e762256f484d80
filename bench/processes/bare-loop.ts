import { Pool } from 'undici'

// The limit that a push dispatcher on undici has: the same requests, from memory, with no queue, no log and no retries.
const [url = '', countText = '0', inFlightText = '0', body = '{}'] = process.argv.slice(2)
const pool = new Pool(url, { connections: null, pipelining: 1 })
let left = Number(countText)
let open = 0

function next(): void {
  if (left-- <= 0) {
    if (open === 0) process.send?.({ done: true })
    return
  }
  open++
  pool.dispatch(
    { method: 'POST', path: '/internal/jobs/no-op', headers: { 'content-type': 'application/json' }, body },
    {
      onRequestStart() {},
      onResponseStart() {},
      onResponseData() {},
      onResponseEnd() {
        open--
        next()
      },
      onResponseError(_controller, error) {
        throw error
      },
    },
  )
}
for (let lane = 0; lane < Number(inFlightText); lane++) next()
