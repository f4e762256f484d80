import type { Recorder } from './recorder/recorder.ts'
import type { Store } from './store/open-store.ts'

const CHECK_TIMEOUT_MS = 1000

/** Why this process cannot do its work: Redis away, store not writable, a recorder that does not turn. */
export function createReadiness({
  redis,
  problem,
  store,
  recorders,
}: {
  redis: { ping(): Promise<string> }
  /** Of the connections to Redis, on a cluster one for each partition. */
  problem(): string | undefined
  store: Pick<Store, 'checkWritable'>
  recorders: readonly { label: string; recorder: Recorder }[]
}): () => Promise<Record<string, string>> {
  return async () => {
    const problems: Record<string, string> = {}
    const [redisProblem, storeProblem] = await Promise.all([
      problemOf(redis.ping().then((answer) => (answer === 'PONG' ? undefined : answer))),
      problemOf(store.checkWritable().then(() => undefined)),
    ])
    const away = redisProblem ?? problem()
    if (away !== undefined) problems.redis = away
    if (storeProblem !== undefined) problems.store = storeProblem
    for (const { label, recorder } of recorders) {
      const problem = recorder.state() === 'starting' ? 'starting' : recorder.problem()
      if (problem) problems[`recorder.${label}`] = problem
    }
    return problems
  }
}

async function problemOf(check: Promise<string | undefined>): Promise<string | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve(`no answer in ${CHECK_TIMEOUT_MS} ms`), CHECK_TIMEOUT_MS)
  })
  try {
    return await Promise.race([check, late])
  } catch (error) {
    return (error as Error).message
  } finally {
    clearTimeout(timer)
  }
}
