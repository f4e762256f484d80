// A whole program, run by the test beside it: emits to an address where nobody listens, and does not look at the promises.
import { Septor } from '../src/index.ts'

const septor = new Septor({ apiUrl: process.argv[2] ?? '', namespace: 'billing', giveUpAfterMs: 50 })
septor.emit('policy.created', { entityId: 'pol_1', metadata: { who: 'script' } })
septor.emit('policy.created', { entityId: 'pol_1', data: 1n, metadata: { who: 'script' } })
process.on('exit', (code) => console.log(`left with ${code}`))
