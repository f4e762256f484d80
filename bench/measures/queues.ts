import { BOTH, type Context, compare, type Figure, type Measure } from '../measure.ts'
import { fill, registerService, withStore } from '../sides/millrace.ts'
import { DATA } from '../sides/payload.ts'
import { type PushWorker, pushRate, startPushWorker, TAIL } from '../sides/push.ts'

const SERVICES = 10

/** Ten busy queues, one in each of ten services, with and without idle queues beside them. */
export const queues: Measure = {
  name: 'queues',
  about: 'push throughput with 1,000 queues, 10 of them busy, against 10 queues',
  appendfsync: BOTH,
  async run(context) {
    const worker = await startPushWorker()
    const few = await rateWith(1, worker, context)
    const many = await rateWith(100, worker, context)
    await worker.stop()
    const names = { what: 'push with 1,000 queues, 10 busy', peerName: '10 queues', unit: 'jobs/s' }
    return [compare({ ...names, ours: many, peer: few, target: { atLeast: 0.9 } })]
  },
}

function rateWith(perService: number, worker: PushWorker, { appendfsync, size, say }: Context): Promise<Figure> {
  say(`${SERVICES * perService} queues`)
  const skip = size(5000, 200)
  const count = size(20_000, 1000)
  return withStore(appendfsync, async (store) => {
    const names = Array.from({ length: perService }, (_, index) => `queue-${index}`)
    const perQueue = Math.ceil((skip + count) / SERVICES) + TAIL
    for (let service = 0; service < SERVICES; service++) {
      const namespace = `bench-${service}`
      await registerService(store, { namespace, url: worker.url, queues: names, concurrency: 10 })
      await fill(store, { address: `${namespace}/queue-0`, count: perQueue, data: JSON.stringify(DATA) })
    }
    return pushRate(worker, store, { skip, count })
  })
}
