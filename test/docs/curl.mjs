// As much of curl as the pages use: -X, -H, -d, -N and an address. The exit code is 22, as with --fail, for a status from 400 on.
import { parseArgs } from 'node:util'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    request: { type: 'string', short: 'X' },
    header: { type: 'string', short: 'H', multiple: true },
    data: { type: 'string', short: 'd' },
    // Only for people, who want to see a stream as it comes.
    'no-buffer': { type: 'boolean', short: 'N' },
  },
})
const [url, ...more] = positionals
if (!url || more.length > 0) throw new Error(`expected one address, got ${positionals.join(' ')}`)
const headers = (values.header ?? []).map((line) => line.split(/:\s*/, 2))
const method = values.request ?? (values.data === undefined ? 'GET' : 'POST')
const response = await fetch(url, { method, headers, ...(values.data !== undefined && { body: values.data }) })
console.log(await response.text())
process.exitCode = response.status < 400 ? 0 : 22
