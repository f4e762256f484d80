import { partitionLabel, REGISTRY_PARTITION } from '@millrace/contracts'
import type { Problems, Pulse, ReadinessSource } from '@millrace/runtime'
import type { Partitions } from '@millrace/streams'

export interface ReadinessDeps {
  readonly partitions: Partitions
  /** Of the connection that a partition has, the registry's included. */
  redisProblem(partition: number): string | undefined
  plannerProblem(partition: number): string | undefined
  /** Of each partition in its order. */
  readonly ticking: readonly Pick<Pulse, 'problem'>[]
}

/** Why this scheduler cannot plan and fire, as its own duties found; nothing is asked for the answer. */
export function createReadiness({ partitions, redisProblem, plannerProblem, ticking }: ReadinessDeps): ReadinessSource {
  const problemsOf = (number: number): Problems => {
    const redis = redisProblem(number)
    const planner = plannerProblem(number)
    const ticker = ticking[number]?.problem()
    return {
      ...(redis !== undefined && { redis }),
      ...(planner !== undefined && { planner }),
      ...(ticker !== undefined && { ticker }),
    }
  }
  return {
    process: async () => ({}),
    async partitions() {
      const numbers = [...partitions.all.map(({ number }) => number), REGISTRY_PARTITION]
      return Object.fromEntries(numbers.map((number) => [partitionLabel(number), problemsOf(number)]))
    },
  }
}
