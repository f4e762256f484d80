import { ProblemError, type QueueDefinition } from '@millrace/contracts'
import type { Clock } from '@millrace/runtime'
import {
  type BreakerNote,
  type JobPlace,
  type Partitions,
  type RegistryView,
  readOpenCircuits,
  readPullConsumers,
  splitAddress,
} from '@millrace/streams'
import { placeOf } from '../delivery/attempt.ts'
import type { Place } from '../delivery/endpoint-health.ts'
import type { Signer } from '../signing/signer.ts'
import type { TargetPolicy } from '../targets/open-ranges.ts'
import type { ExplainContext } from './explain.ts'
import { findDeclared } from './find-queue.ts'

export interface ExplainDeps {
  readonly registry: RegistryView
  readonly partitions: Partitions
  readonly clock: Clock
  readonly signer: Pick<Signer, 'problem'>
  readonly targets: TargetPolicy
}

/** What else there is to know of a job's queue, to say why the job does not run. */
export async function explainContext(deps: ExplainDeps, { address, state }: JobPlace): Promise<ExplainContext> {
  const nowMs = deps.clock.now()
  const definition = await findDeclared(deps.registry, address).catch((error) => {
    if (error instanceof ProblemError) return undefined
    throw error
  })
  if (!definition) return { nowMs }
  if (definition.delivery === 'pull') {
    const consumers = await readPullConsumers(deps.partitions.of(address), address)
    return { nowMs, definition, pullConsumers: consumers.length }
  }
  if (state !== 'waiting' && state !== 'held') return { nowMs, definition }
  const circuit = await findCircuit(deps, address, definition)
  const unsigned = deps.signer.problem(splitAddress(address).namespace)
  return { nowMs, definition, ...(circuit && { circuit }), ...(unsigned !== undefined && { unsigned }) }
}

/** Not only what this queue's answers have opened: a circuit stops every queue that is delivered to its place. */
async function findCircuit(
  { registry, partitions, targets }: ExplainDeps,
  address: string,
  definition: QueueDefinition,
): Promise<BreakerNote | undefined> {
  const { namespace } = splitAddress(address)
  const url = registry.service(namespace)?.url
  if (url === undefined) return undefined
  const place = placeOf(definition, url, targets.of(namespace))
  const open = (await Promise.all(partitions.all.map(readOpenCircuits))).flat()
  return open.find((circuit) => stops(circuit, place))
}

function stops({ scope, origin, path }: BreakerNote, place: Place): boolean {
  return origin === place.origin && (scope === 'origin' || path === place.path)
}
