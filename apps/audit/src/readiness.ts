import type { Recorder } from './recorder/recorder.ts'
import type { Store } from './store/open-store.ts'

const PING_TIMEOUT_MS = 1000

/** Why this process cannot do its work: Redis away, store not writable, a recorder that does not turn. */
export function createReadiness({
  redis,
  store,
  recorders,
}: {
  redis: { ping(): Promise<string> }
  store: Pick<Store, 'checkWritable'>
  recorders: readonly { label: string; recorder: Recorder }[]
}): () => Promise<Record<string, string>> {
  return async () => {
    const problems: Record<string, string> = {}
    const redisProblem = await deadline(redis.ping()).catch((error: Error) => error.message)
    if (redisProblem !== 'PONG') problems.redis = redisProblem
    try {
      store.checkWritable()
    } catch (error) {
      problems.store = (error as Error).message
    }
    for (const { label, recorder } of recorders) {
      const problem = recorder.state() === 'starting' ? 'starting' : recorder.problem()
      if (problem) problems[`recorder.${label}`] = problem
    }
    return problems
  }
}

async function deadline(answer: Promise<string>): Promise<string> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve(`no answer in ${PING_TIMEOUT_MS} ms`), PING_TIMEOUT_MS)
  })
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
  }
}
