import { partitionLabel, REGISTRY_PARTITION } from '@millrace/contracts'
import { type Loop, startLoop } from '@millrace/time'
import type { Metrics } from './metrics/metrics.ts'

/** Why work cannot be done, by the name of the duty or of what is missing; empty when it can. */
export type Problems = Readonly<Record<string, string>>

/** What a process knows of itself, for `/readyz` and for the metric of its partitions. */
export interface ReadinessSource {
  /** What keeps all of it from its work. */
  process(): Promise<Problems>
  /** What keeps it from its work on one partition, by label; those that are well are there with no problem. */
  partitions?(): Promise<Readonly<Record<string, Problems>>>
}

export type Readiness =
  | { readonly status: 'ready'; readonly degraded?: Problems }
  | { readonly status: 'not_ready'; readonly problems: Problems }

/** No job lies there, so a process that reaches nothing else can do no work. */
const REGISTRY = partitionLabel(REGISTRY_PARTITION)
const NONE: Awaited<ReturnType<NonNullable<ReadinessSource['partitions']>>> = {}
/** As old as other gauges get. */
const WATCH_MS = 5000

/**
 * Ready while work can be done on at least one partition. What keeps one partition from it keeps every process from it, mostly: were
 * they all not ready for that, a load balancer would take them all away, and the queues of every other partition with them.
 */
export async function readReadiness({ process, partitions }: ReadinessSource): Promise<Readiness> {
  const [problems, parts] = await Promise.all([process(), partitions?.() ?? NONE])
  const labels = Object.keys(parts).filter((label) => label !== REGISTRY)
  const isStuck = labels.length > 0 && labels.every((label) => isDegraded(parts[label]))
  // Of one kind the first is enough: they have one cause.
  const stuck = isStuck ? Object.assign({}, ...Object.values(parts).toReversed()) : {}
  const all: Problems = { ...stuck, ...problems }
  if (Object.keys(all).length > 0) return { status: 'not_ready', problems: all }
  const degraded = Object.entries(parts).filter(([, problems]) => isDegraded(problems))
  if (degraded.length === 0) return { status: 'ready' }
  return {
    status: 'ready',
    degraded: Object.fromEntries(degraded.map(([label, problems]) => [label, Object.values(problems).join('; ')])),
  }
}

/** Keeps the metric of the partitions up to date, so that a scrape never waits for what it says. */
export function watchPartitions(
  { partitions }: ReadinessSource,
  { partitionDegraded }: Pick<Metrics['own'], 'partitionDegraded'>,
): Loop | undefined {
  if (!partitions) return undefined
  return startLoop({
    name: 'partitions',
    intervalMs: WATCH_MS,
    async run() {
      for (const [partition, problems] of Object.entries(await partitions()))
        partitionDegraded.set({ partition }, isDegraded(problems) ? 1 : 0)
      return undefined
    },
    // Nothing to report: what cannot be asked is a problem, not an error.
    onError: () => undefined,
  })
}

function isDegraded(problems: Problems | undefined): boolean {
  return Object.keys(problems ?? {}).length > 0
}
