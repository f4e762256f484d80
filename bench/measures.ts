import type { Measure } from './measure.ts'
import { backlog } from './measures/backlog.ts'
import { catchUp } from './measures/catch-up.ts'
import { enqueue } from './measures/enqueue.ts'
import { fanout } from './measures/fanout.ts'
import { fold } from './measures/fold.ts'
import { idle } from './measures/idle.ts'
import { intake } from './measures/intake.ts'
import { latency } from './measures/latency.ts'
import { lateness } from './measures/lateness.ts'
import { memory } from './measures/memory.ts'
import { publish } from './measures/publish.ts'
import { publishLatency } from './measures/publish-latency.ts'
import { pull } from './measures/pull.ts'
import { push } from './measures/push.ts'
import { queues } from './measures/queues.ts'
import { routedPush } from './measures/routed-push.ts'
import { soak } from './measures/soak.ts'

/** All there are, in the order of the table. */
export const MEASURES: readonly Measure[] = [
  push,
  pull,
  enqueue,
  intake,
  memory,
  latency,
  lateness,
  backlog,
  queues,
  publish,
  fanout,
  publishLatency,
  catchUp,
  routedPush,
  fold,
  idle,
  soak,
]
