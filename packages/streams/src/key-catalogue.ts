/**
 * Every Redis key, in one place. A partition is a hash tag: all keys of a partition carry it, so a script touches one
 * slot and a cluster spreads partitions over nodes. The scripts build the same names from the tag (`prelude.lua`); a
 * test runs the platform and checks that no key exists that is not in this list.
 */
export interface KeyDescription {
  readonly pattern: string
  readonly type: 'stream' | 'list' | 'zset' | 'hash' | 'set' | 'string' | 'channel'
  readonly holds: string
}

export const KEY_CATALOGUE: readonly KeyDescription[] = [
  {
    pattern: '{pN}:log',
    type: 'stream',
    holds:
      'every event of the partition, in pairs: kind and type, namespace and queue, then entity and data of each of its facts, at most a hundred or 64 KiB of data. The entry id is the position of the first fact, the others have the sequence numbers behind it. A job is named by its id, by the 16 digits of that, or, before layout 5, by the position of its job.enqueued, where the entity is empty or, of a job with nothing but a payload, its lane and the data that payload. An entry of kind job or schedule whose queue is empty has facts about many queues, and the entity of each is its queue. Groups: audit, and any reader of its own',
  },
  {
    pattern: '{pN}:q:<ns>/<queue>:<lane>',
    type: 'list',
    holds:
      'what waits; lanes high, normal, low. What is claimed goes to in-hand. An element is the place of its job, 16 digits as of an id, and the payload, for a job with nothing else: the place is its id. For others @ and a line of JSON stand before the payload: job (empty where the place is its id), attempt, epoch, meta. A place alone is a hole: its job was cancelled',
  },
  {
    pattern: '{pN}:large:<ns>/<queue>:<lane>',
    type: 'hash',
    holds:
      'payloads of more than 1500 bytes, by the digits of their ids, of jobs that wait in this lane or were claimed from it; & stands for them there and in in-hand',
  },
  {
    pattern: '{pN}:in-hand:<ns>/<queue>',
    type: 'hash',
    holds:
      'jobs that somebody has: they run or are prefetched. The field is the digits of its id, lane and who has it (@leased: their worker); the value is what it was in its lane, with how many had it. The length counts against the concurrency',
  },
  { pattern: '{pN}:due', type: 'zset', holds: 'jobs that wait for a time (delayed, retries); score = ms' },
  {
    pattern: '{pN}:parked',
    type: 'hash',
    holds: 'the bodies of what is in due: a line of JSON, then the payload untouched',
  },
  { pattern: '{pN}:ticks', type: 'zset', holds: 'schedules by when they fire next, jitter included; score = ms' },
  {
    pattern: '{pN}:schedules',
    type: 'hash',
    holds:
      'what is planned for each schedule, as JSON: the rule, the next nominal time, when it fires, what it was computed from and with which time-zone database',
  },
  { pattern: '{pN}:schedule-pauses', type: 'hash', holds: 'schedules that are paused: who, why, since when' },
  {
    pattern: '{pN}:ledger:<ns>/<queue>',
    type: 'zset',
    holds: 'the nominal times of a schedule that have passed; score = ms. Expires 30 days after the schedule is gone',
  },
  {
    pattern: '{pN}:ledger-rows:<ns>/<queue>',
    type: 'hash',
    holds: 'what became of each of them, as JSON; in `forgotten` the latest time whose row had to go, ms',
  },
  {
    pattern: '{pN}:ledger-fresh',
    type: 'hash',
    holds:
      'rows of ticks that fired a moment ago and are not in their ledgers yet, by schedule: name of the row, job, ms, the row',
  },
  {
    pattern: '{pN}:ledger-high',
    type: 'hash',
    holds:
      'up to where the ledger of each schedule may have rows that did not come by its plan, ms; not known after the plan was made anew',
  },
  { pattern: '{pN}:runs:<ns>/<queue>', type: 'hash', holds: 'runs of a schedule that have not ended: job and row' },
  { pattern: '{pN}:last-success', type: 'hash', holds: 'when a run of each schedule last succeeded, ms' },
  { pattern: '{pN}:backfills', type: 'hash', holds: 'backfills: how far each is, as JSON' },
  {
    pattern: '{pN}:backfill-ends',
    type: 'zset',
    holds: 'the same backfills by when they ended, ms; inf = still running. 30 days after its end one is forgotten',
  },
  {
    pattern: '{pN}:dead:<ns>/<queue>',
    type: 'stream',
    holds: 'dead letters: job, lane, attempt, epoch, meta, reason, last (response), data',
  },
  { pattern: '{pN}:dead-index', type: 'hash', holds: 'where the dead letter of a job is: queue address and entry id' },
  { pattern: '{pN}:redrives', type: 'hash', holds: 'redrives that go on by themselves: how far each is, as JSON' },
  {
    pattern: '{pN}:redrive-ends',
    type: 'zset',
    holds: 'the same redrives by when they ended, ms; inf = still running. 30 days after its end one is forgotten',
  },
  {
    pattern: '{pN}:counts:<ns>/<queue>',
    type: 'hash',
    holds:
      'accepted, succeeded, dead, cancelled, expired, discarded (of the dead), scheduled, held, claimed, turn, gone (holes in its lanes); closed while the queue is closed; draining: who has it drained, why, since when',
  },
  { pattern: '{pN}:queues', type: 'set', holds: 'addresses of the queues that are open in the partition' },
  { pattern: '{pN}:closed', type: 'set', holds: 'addresses of closed queues that left dead letters' },
  {
    pattern: '{pN}:consumers',
    type: 'zset',
    holds: 'dispatchers, and pull consumers as <ns>/<queue>@<name>; score = lease end by server time, 0 = left',
  },
  {
    pattern: '{pN}:places',
    type: 'hash',
    holds:
      'where a waiting or running job is that was moved since it was enqueued: lane or held, address, lane, its place or the id of its entry, key',
  },
  {
    pattern: '{pN}:held:<ns>/<queue>:<key>',
    type: 'stream',
    holds: 'jobs that wait behind their key, in a queue with a per-key limit',
  },
  { pattern: '{pN}:lines:<ns>/<queue>', type: 'set', holds: 'keys with jobs that wait behind them' },
  { pattern: '{pN}:ring:<ns>/<queue>', type: 'zset', holds: 'keys that may be served, by turn' },
  { pattern: '{pN}:keyrun:<ns>/<queue>', type: 'hash', holds: 'how many jobs of a key have a slot' },
  {
    pattern: '{pN}:slots:<ns>/<queue>',
    type: 'hash',
    holds:
      'jobs that have a slot of their key, by id: running, waiting for a retry that keeps it, or dead and blocking',
  },
  {
    pattern: '{pN}:limits',
    type: 'hash',
    holds: 'per-key limit and rates of a queue, and whether it is pulled, as JSON',
  },
  {
    pattern: '{pN}:prefetched:<ns>/<queue>',
    type: 'hash',
    holds:
      'how many of the jobs that it has in hand a consumer has prefetched, by consumer: no attempt at them has begun',
  },
  { pattern: '{pN}:rate:<ns>/<queue>', type: 'string', holds: 'when the token bucket of a queue is full, ms' },
  { pattern: '{pN}:rate:<ns>/<queue>:<key>', type: 'string', holds: 'the same for a key' },
  {
    pattern: '{pN}:unique:<ns>/<queue>:<key>',
    type: 'string',
    holds: 'unique key of a job: the id of the job that has it',
  },
  { pattern: '{pN}:paused', type: 'hash', holds: 'queues, and keys of queues, that are paused: who, why, since when' },
  { pattern: '{pN}:breakers', type: 'hash', holds: 'queues whose endpoint has an open circuit: which, and since when' },
  {
    pattern: '{pN}:leased',
    type: 'hash',
    holds: 'jobs that their worker holds under a lease: where, which attempt, token',
  },
  { pattern: '{pN}:cancelling', type: 'hash', holds: 'running jobs that somebody cancelled: who and why' },
  { pattern: '{pN}:purge:<ns>/<queue>', type: 'string', holds: 'the token that allows a purge; expires' },
  {
    pattern: '{pN}:idle',
    type: 'set',
    holds: 'queues whose claimers found nothing; the enqueue that removes a member publishes a wake-up',
  },
  {
    pattern: '{pN}:wake',
    type: 'channel',
    holds: 'wake-ups: a queue address, @due (a new earliest due time), @left (a dispatcher left) or @cancel <job>',
  },
  {
    pattern: '{pN}:idem:<ns>/<queue>:<key>',
    type: 'string',
    holds:
      'idempotency key of a job: id and body fingerprint (of a run by hand: id and name of its row); expires with the window',
  },
  {
    pattern: '{pN}:idem:audit:<ns>:<key>',
    type: 'string',
    holds: 'idempotency key of an emit: its log position; expires with the window',
  },
  {
    pattern: '{pN}:idem:event:<ns>:<key>',
    type: 'string',
    holds: 'source and id of a published event, hashed: its log position; expires with the window',
  },
  {
    pattern: '{pN}:routed',
    type: 'hash',
    holds:
      'how far the log of each partition was put into the subscriptions that live in this one: <partition> = position, <partition>:read = entries; revision of the registry that was gone by',
  },
  {
    pattern: '{pN}:subscribed',
    type: 'hash',
    holds: 'subscriptions that live in the partition, by address: the version of the service that made them',
  },
  {
    pattern: '{pN}:behind',
    type: 'hash',
    holds:
      'subscriptions that read on their own, <address> <partition>: position, and up to where what they get was delivered before',
  },
  {
    pattern: '{pN}:replays',
    type: 'hash',
    holds: 'replays into subscriptions that live in the partition, by id: how far each is, as JSON',
  },
  {
    pattern: '{pN}:replay-ends',
    type: 'zset',
    holds: 'the same replays by when they ended, ms; inf = still running. 30 days after its end one is forgotten',
  },
  { pattern: '{pN}:layout', type: 'string', holds: 'the layout that the partition was brought to' },
  { pattern: '{pN}:lease:<name>', type: 'hash', holds: 'a one-holder lease: holder, term, end' },
  {
    pattern: '{pN}:mark',
    type: 'string',
    holds: 'nothing; written behind what producers are told of, where replicas are waited for',
  },
  {
    pattern: '{reg}:log',
    type: 'stream',
    holds: 'events of the registry: service.applied, and what became of API keys and signing secrets',
  },
  { pattern: '{reg}:services', type: 'hash', holds: 'services by namespace, as JSON' },
  { pattern: '{reg}:versions', type: 'hash', holds: 'version of each service' },
  {
    pattern: '{reg}:meta',
    type: 'hash',
    holds:
      'partitions and layout (fixed at first boot; a newer version raises the layout), revision (rises with each change of a service), secrets (with each of a signing secret)',
  },
  {
    pattern: '{reg}:keys',
    type: 'hash',
    holds: 'API keys by id, as JSON: name, grants, times, and of each secret its SHA-256',
  },
  {
    pattern: '{reg}:secrets',
    type: 'hash',
    holds: 'signing secrets by namespace, as JSON: ids, kinds, times, and each secret sealed with the master key',
  },
  {
    pattern: '{reg}:published',
    type: 'zset',
    holds:
      'types that the service published in the last 30 days, declared or not, at most 1,000; score = about when, ms',
  },
  { pattern: '{reg}:lease:<name>', type: 'hash', holds: 'as in a partition' },
  { pattern: '{reg}:changed', type: 'channel', holds: 'the namespace whose service or secrets changed' },
]
