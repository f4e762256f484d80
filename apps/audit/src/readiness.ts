import { partitionLabel } from '@millrace/contracts'
import type { Problems, ReadinessSource } from '@millrace/runtime'
import type { Partition } from '@millrace/streams'
import type { Recorder } from './recorder/recorder.ts'
import type { Store } from './store/open-store.ts'

const CHECK_TIMEOUT_MS = 1000

export interface ReadinessDeps {
  /** Of the connection that a partition has. */
  redisProblem(partition: number): string | undefined
  readonly store: Pick<Store, 'checkWritable'>
  readonly logs: readonly { readonly partition: Partition; readonly recorder: Pick<Recorder, 'state' | 'problem'> }[]
}

/** Why this process cannot do its work: store not writable, or of a partition Redis away, a recorder that does not turn. */
export function createReadiness({ redisProblem, store, logs }: ReadinessDeps): ReadinessSource {
  return {
    async process(): Promise<Problems> {
      const problem = await problemOf(store.checkWritable().then(() => undefined))
      return problem === undefined ? {} : { store: problem }
    },
    async partitions() {
      const asked = new Map<Partition['redis'], Promise<string | undefined>>()
      const ask = ({ redis }: Partition) => {
        const answer = asked.get(redis) ?? problemOf(ping(redis))
        asked.set(redis, answer)
        return answer
      }
      const found = logs.map(async ({ partition, recorder }): Promise<[string, Problems]> => {
        const label = partitionLabel(partition.number)
        const redis = redisProblem(partition.number) ?? (await ask(partition))
        const recording = recorder.state() === 'starting' ? 'starting' : recorder.problem()
        return [
          label,
          {
            ...(redis !== undefined && { redis }),
            ...(recording !== undefined && { [`recorder.${label}`]: recording }),
          },
        ]
      })
      return Object.fromEntries(await Promise.all(found))
    },
  }
}

async function ping(redis: Pick<Partition['redis'], 'ping'>): Promise<string | undefined> {
  const answer = await redis.ping()
  return answer === 'PONG' ? undefined : answer
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
