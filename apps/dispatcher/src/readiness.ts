import { partitionLabel, REGISTRY_PARTITION } from '@millrace/contracts'
import type { PartitionDelivery } from '@millrace/delivery'
import type { Problems, ReadinessSource } from '@millrace/runtime'
import type { Partitions } from '@millrace/streams'
import type { Signer } from './signing/signer.ts'

export type Phase = 'starting' | 'running' | 'draining'

export interface ReadinessDeps {
  readonly partitions: Partitions
  readonly signer: Pick<Signer, 'problem'>
  /** Of the connection that a partition has, the registry's included. */
  redisProblem(partition: number): string | undefined
  /** Of each partition in its order; none before claiming has begun. */
  delivery(): readonly Pick<PartitionDelivery, 'problem'>[]
  phase(): Phase
}

/** Why this dispatcher cannot take and deliver jobs, as its own duties found; nothing is asked for the answer. */
export function createReadiness({ partitions, signer, ...deps }: ReadinessDeps): ReadinessSource {
  const problemsOf = (number: number): Problems => {
    const redis = deps.redisProblem(number)
    const lease = deps.delivery()[number]?.problem()
    return { ...(redis !== undefined && { redis }), ...(lease !== undefined && { lease }) }
  }
  return {
    async process() {
      const signing = signer.problem()
      const phase = deps.phase()
      return { ...(signing !== undefined && { signing }), ...(phase !== 'running' && { process: `is ${phase}` }) }
    },
    async partitions() {
      const numbers = [...partitions.all.map(({ number }) => number), REGISTRY_PARTITION]
      return Object.fromEntries(numbers.map((number) => [partitionLabel(number), problemsOf(number)]))
    },
  }
}
