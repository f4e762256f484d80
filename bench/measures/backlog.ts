import { BOTH, type Context, compare, type Figure, type Measure } from '../measure.ts'
import { fill, registerService, withStore } from '../sides/millrace.ts'
import { DATA } from '../sides/payload.ts'
import { type PushWorker, pushRate, startPushWorker } from '../sides/push.ts'

/** The same number of jobs delivered, with many and with few left waiting when the last of them is. */
export const backlog: Measure = {
  name: 'backlog',
  about: 'push throughput with 1,000,000 waiting jobs against 10,000',
  appendfsync: BOTH,
  async run(context) {
    const worker = await startPushWorker()
    const small = context.size(10_000, 1000)
    const large = context.size(1_000_000, 20_000)
    const few = await rateWith(small, worker, context)
    const many = await rateWith(large, worker, context)
    await worker.stop()
    const names = { what: `push with ${words(large)}`, peerName: words(small), unit: 'jobs/s' }
    return [compare({ ...names, ours: many, peer: few, target: { atLeast: 0.9 } })]
  },
}

const words = (jobs: number) => `${jobs.toLocaleString('en')} jobs waiting`

function rateWith(waiting: number, worker: PushWorker, { appendfsync, size, say }: Context): Promise<Figure> {
  const skip = size(5000, 200)
  const count = size(20_000, 1000)
  return withStore(appendfsync, async (store) => {
    say(`${waiting} waiting: enqueuing`)
    await registerService(store, { namespace: 'bench', url: worker.url, queues: ['no-op'], concurrency: 100 })
    await fill(store, { address: 'bench/no-op', count: waiting + skip + count, data: JSON.stringify(DATA), say })
    say(`${waiting} waiting: delivering ${count}`)
    return pushRate(worker, store, { skip, count })
  })
}
