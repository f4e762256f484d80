import { ProblemError } from '@millrace/contracts'
import { fullAddress, type Partitions, queuesOf, type RegistryView, splitAddress } from '@millrace/streams'
import { addressOf } from '../queue-counts.ts'
import { findDeclared, findService } from './find-queue.ts'

export interface LetterQueueDeps {
  readonly registry: RegistryView
  readonly partitions: Partitions
}

interface Asked {
  readonly namespace: string
  readonly queue?: string | undefined
}

/** The queues whose dead letters are asked for: declared ones, and closed ones that left letters behind. */
export async function letterAddresses(deps: LetterQueueDeps, { namespace, queue }: Asked): Promise<string[]> {
  if (queue !== undefined) return [await letterAddress(deps, { namespace, queue })]
  const service = await findService(deps.registry, namespace)
  const sets = await Promise.all(deps.partitions.all.map(({ redis, keys }) => redis.smembers(keys.closed)))
  const closed = sets.flat().filter((address) => splitAddress(address).namespace === namespace)
  return [...new Set([...queuesOf(service).map(addressOf), ...closed.toSorted()])]
}

export async function letterAddress(
  deps: LetterQueueDeps,
  { namespace, queue }: { namespace: string; queue: string },
): Promise<string> {
  const address = fullAddress(namespace, queue)
  if (!(await isClosed(deps, address))) await findDeclared(deps.registry, address)
  return address
}

/** Letters can be put back only where somebody delivers them. */
export async function redrivableAddress(
  deps: LetterQueueDeps,
  { namespace, queue }: { namespace: string; queue: string },
): Promise<string> {
  const address = fullAddress(namespace, queue)
  if (await isClosed(deps, address)) {
    throw new ProblemError(
      'queue.closing',
      `Queue "${queue}" of ${namespace} is closed: nobody would deliver its letters. Declare it again, then put them back.`,
    )
  }
  await findDeclared(deps.registry, address)
  return address
}

async function isClosed({ partitions }: LetterQueueDeps, address: string): Promise<boolean> {
  const { redis, keys } = partitions.of(address)
  return (await redis.sismember(keys.closed, address)) === 1
}
