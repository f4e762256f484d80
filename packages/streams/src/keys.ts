import { REGISTRY_PARTITION } from '@millrace/contracts'

export function partitionTag(partition: number): string {
  return partition === REGISTRY_PARTITION ? '{reg}' : `{p${partition}}`
}

/** The keys of one partition that are used from TypeScript; the rest are the scripts' own. */
export function partitionKeys(partition: number) {
  const tag = partitionTag(partition)
  return {
    tag,
    log: `${tag}:log`,
    wake: `${tag}:wake`,
    mark: `${tag}:mark`,
    routed: `${tag}:routed`,
    subscribed: `${tag}:subscribed`,
    behind: `${tag}:behind`,
    replays: `${tag}:replays`,
    replayEnds: `${tag}:replay-ends`,
    ticks: `${tag}:ticks`,
    schedules: `${tag}:schedules`,
    schedulePauses: `${tag}:schedule-pauses`,
    lastSuccess: `${tag}:last-success`,
    backfills: `${tag}:backfills`,
    backfillEnds: `${tag}:backfill-ends`,
    ledger: (address: string) => `${tag}:ledger:${address}`,
    ledgerRows: (address: string) => `${tag}:ledger-rows:${address}`,
    ledgerFresh: `${tag}:ledger-fresh`,
    queues: `${tag}:queues`,
    idle: `${tag}:idle`,
    closed: `${tag}:closed`,
    consumers: `${tag}:consumers`,
    breakers: `${tag}:breakers`,
    deadIndex: `${tag}:dead-index`,
    redrives: `${tag}:redrives`,
    redriveEnds: `${tag}:redrive-ends`,
    dead: (address: string) => `${tag}:dead:${address}`,
    counts: (address: string) => `${tag}:counts:${address}`,
    large: (address: string, lane: string) => `${tag}:large:${address}:${lane}`,
    inHand: (address: string) => `${tag}:in-hand:${address}`,
    lane: (address: string, lane: string) => `${tag}:q:${address}:${lane}`,
  }
}
export type PartitionKeys = ReturnType<typeof partitionKeys>

export const REGISTRY_KEYS = {
  services: '{reg}:services',
  versions: '{reg}:versions',
  meta: '{reg}:meta',
  keys: '{reg}:keys',
  secrets: '{reg}:secrets',
  changed: '{reg}:changed',
  published: '{reg}:published',
}

/** `<ns>/<queue>`: how a queue is called in keys, scripts and wake-ups. */
export function fullAddress(namespace: string, queue: string): string {
  return `${namespace}/${queue}`
}

export function splitAddress(address: string): { namespace: string; queue: string } {
  const slash = address.indexOf('/')
  return { namespace: address.slice(0, slash), queue: address.slice(slash + 1) }
}
