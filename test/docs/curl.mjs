// As much of curl as the pages use: -X, -H, -d, -N, -m and an address. The exit code is 22, as with --fail, for a status from 400 on,
// and 28 when the time of -m is over.
import { parseArgs } from 'node:util'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    request: { type: 'string', short: 'X' },
    header: { type: 'string', short: 'H', multiple: true },
    data: { type: 'string', short: 'd' },
    // Only for people, who want to see a stream as it comes.
    'no-buffer': { type: 'boolean', short: 'N' },
    'max-time': { type: 'string', short: 'm' },
  },
})
const [url, ...more] = positionals
if (!url || more.length > 0) throw new Error(`expected one address, got ${positionals.join(' ')}`)
const headers = (values.header ?? []).map((line) => line.split(/:\s*/, 2))
const method = values.request ?? (values.data === undefined ? 'GET' : 'POST')
const seconds = values['max-time']
const signal = seconds === undefined ? undefined : AbortSignal.timeout(Number(seconds) * 1000)
try {
  const response = await fetch(url, {
    method,
    headers,
    signal,
    ...(values.data !== undefined && { body: values.data }),
  })
  process.exitCode = response.status < 400 ? 0 : 22
  const decoder = new TextDecoder()
  for await (const chunk of response.body ?? []) process.stdout.write(decoder.decode(chunk, { stream: true }))
  console.log()
} catch (error) {
  if (error.name !== 'TimeoutError') throw error
  process.exitCode = 28
}
