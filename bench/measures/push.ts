import { BOTH, compare, type Measure } from '../measure.ts'
import { deliveryRequest } from '../sides/delivery.ts'
import { startPushWorker } from '../sides/push.ts'
import {
  IN_FLIGHT,
  type PushTurns,
  withBareLoop,
  withBullmqPush,
  withDispatcher,
  withStreamLoop,
} from '../sides/push-turns.ts'
import { inTurns } from '../turns.ts'

/** Full HTTP push with claim, settle and three log events per job, against loops without a queue and against BullMQ. */
export const push: Measure = {
  name: 'push',
  about:
    'HTTP push to a no-op worker, 100 in flight, against bare undici loops, a loop on a Redis stream and a BullMQ worker that POSTs',
  appendfsync: BOTH,
  async run({ appendfsync, size, say }) {
    const worker = await startPushWorker()
    const turns: PushTurns = { worker, appendfsync, skip: size(5000, 200), count: size(20_000, 500) }
    const whole = deliveryRequest('no-op', { concurrency: IN_FLIGHT })
    const least = { headers: { 'content-type': 'application/json' }, body: whole.body }
    // The compiler of V8 is busy with the dispatcher for its first tens of thousands of jobs, and with a bare loop for few.
    const options = { warmUps: size(2, 1), count: size(9, 2), say }
    try {
      const { ours, strict, same, written, stream, bullmq } = await withBareLoop(
        turns,
        { ...least, style: 'dispatch' },
        (strict) =>
          withBareLoop(turns, { ...whole, style: 'dispatch' }, (same) =>
            withBareLoop(turns, { ...least, style: 'request' }, (written) =>
              withStreamLoop(turns, whole.body, (stream) =>
                withBullmqPush(turns, (bullmq) =>
                  withDispatcher(turns, (ours) => inTurns({ strict, same, ours, stream, written, bullmq }, options)),
                ),
              ),
            ),
          ),
      )
      const names = { what: 'HTTP push, 100 in flight', ours, unit: 'jobs/s' }
      const [half, more] = [{ atLeast: 0.65 }, { atLeast: 2.5 }]
      return [
        compare({ ...names, peer: strict, peerName: 'undici dispatch loop', target: half }),
        compare({ ...names, peer: same, peerName: 'the same, all headers of a delivery', target: half }),
        compare({ ...names, peer: written, peerName: 'undici request loop' }),
        compare({ ...names, peer: stream, peerName: 'loop on a Redis stream' }),
        compare({ ...names, peer: bullmq, peerName: 'BullMQ that POSTs', target: more }),
      ]
    } finally {
      await worker.stop()
    }
  },
}
