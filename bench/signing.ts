// `npx node bench/signing.ts`: what a signature costs on the dispatcher's thread, by the kind of secret and the size of the
// body. Nothing but the signatures is measured; the lowest of five rounds is printed.

import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { createSigningKey } from '@millrace/engine'

const ROUNDS = 5
const SIZES = [200, 4096, 65_536]

const hmac = () => createSigningKey(`whsec_${randomBytes(32).toString('base64')}`)
const seed = Buffer.from(generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }).d ?? '', 'base64url')
const ed25519 = createSigningKey(`whsk_${seed.toString('base64')}`)
const KEYS = {
  'one secret': [hmac()],
  'two secrets, in a rotation': [hmac(), hmac()],
  'one secret and ed25519': [hmac(), ed25519],
}

for (const [name, keys] of Object.entries(KEYS)) {
  for (const size of SIZES) {
    const body = JSON.stringify({ jobId: 'job_1a200c31d0100000000', data: 'x'.repeat(size) })
    const times = Array.from({ length: ROUNDS }, () => microsecondsOf(() => keys.map((key) => key(contentOf(body)))))
    console.log(
      `${name.padEnd(28)} ${String(size).padStart(6)} bytes  ${Math.min(...times)
        .toFixed(1)
        .padStart(7)} µs`,
    )
  }
}

function contentOf(body: string) {
  return { id: 'job_1a200c31d0100000000', timestamp: '1795309116', body }
}

/** Of one call, over as many as take about a quarter of a second. */
function microsecondsOf(call: () => unknown): number {
  let calls = 0
  const startedAt = process.hrtime.bigint()
  while (process.hrtime.bigint() - startedAt < 250_000_000n) {
    for (let i = 0; i < 100; i++) call()
    calls += 100
  }
  return Number(process.hrtime.bigint() - startedAt) / calls / 1000
}
