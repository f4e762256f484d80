import { setTimeout as sleep } from 'node:timers/promises'
import { createPartitions, fullAddress, LOG_READERS } from '@millrace/streams'
import { type CheckName, type Evidence, judge } from './checks.ts'
import { gatherEvidence, unroutedEvents, untilAtRest, untilRecorded } from './evidence.ts'
import { type Injected, injectFault } from './faults.ts'
import { startLoad } from './load.ts'
import { NAMESPACE } from './manifest.ts'
import { type FaultName, planFaults } from './plan.ts'
import { declare, type Platform, type PlatformOptions, startApps, startPlatform } from './platform.ts'
import { createRandom } from './random.ts'
import { formatReport } from './report.ts'
import { type Service, startService } from './service.ts'
import { measureStalls } from './stalls.ts'
import { startWitness } from './witness.ts'

export interface RunOptions extends Omit<PlatformOptions, 'serviceUrl'> {
  readonly seed: number
  /** How long faults are injected. */
  readonly durationMs: number
  /** So many in any case, however long they take. */
  readonly minFaults?: number
  readonly faults: readonly FaultName[]
  readonly pauseMs: readonly [number, number]
  readonly doublePercent: number
  readonly scale: number
  readonly perSecond: number
  /** Told as it goes. */
  say(line: string): void
  /** Called now and then while faults come and go; whatever it wants to look at. */
  watch?(platform: Platform): Promise<void>
}

export interface RunResult {
  readonly verdicts: ReadonlyMap<CheckName, readonly string[]>
  readonly violations: readonly string[]
  readonly report: string
}

// A job that was parked for a retry, behind a lease that has to lapse, behind a breaker that has to probe.
const REST_MS = 120_000
const RECORDED_MS = 60_000
const WATCH_MS = 1000
const AUDIT_SAMPLE_MS = 100

/** One run from an empty machine to its verdict: start, load, faults, rest, evidence. Leaves nothing running. */
export async function runFaults(options: RunOptions): Promise<RunResult> {
  const service = await startService(createRandom(options.seed + 1))
  const platform = await startPlatform({ ...options, serviceUrl: service.url }).catch(async (error) => {
    await service.stop()
    throw error
  })
  try {
    return await runOn(platform, service, options)
  } finally {
    await platform.stop()
    await service.stop()
  }
}

async function runOn(platform: Platform, service: Service, options: RunOptions): Promise<RunResult> {
  const { seed, say } = options
  const witness = startWitness(platform.deployment)
  await startApps(platform, () => declare(platform, service.url))
  say(`${platform.apps.length} processes, store ${options.store}; load and faults begin`)
  const urls = platform.of('dispatcher').map(({ name }) => platform.urlOf(name))
  const load = startLoad({ urls, perSecond: options.perSecond, random: createRandom(seed + 2) })
  const watching = startWatching(platform, service, options)

  const startedAt = Date.now()
  const injected = await injectAll(platform, options)
  const minutes = (Date.now() - startedAt) / 60_000
  await platform.ready()
  await load.stop()
  // Nothing new comes from here on, so everything must come to rest.
  await Promise.all(platform.of('scheduler').map((app) => app.stop()))
  const restFrom = Date.now()
  const unrest = await untilAtRest(platform, {
    timeoutMs: REST_MS,
    underWay: () => unroutedEvents({ told: load.told, service }),
  })
  const restMs = Date.now() - restFrom
  await untilRecorded(platform, witness.seen, RECORDED_MS)
  await watching.stop()
  await witness.stop()

  const unnoticed = injected.flatMap(({ violation }) => violation ?? [])
  const surprises = [...(unrest === undefined ? [] : [unrest]), ...unnoticed]
  // What an app knows of an answer that no fault explains is in its log, and that is gone with it.
  if (load.told.surprises.length > 0) for (const line of failuresIn(platform)) say(line)
  const evidence = await gatherEvidence({ platform, service, told: load.told, seen: witness.seen, surprises })
  const verdicts = judge(evidence)
  const figures = {
    ...{ seed, minutes, store: options.store, redis: platform.deployment.kind, restMs },
    ...countsOf(evidence),
    ...{ deliveries: service.deliveries(), duplicates: service.duplicates() },
    ...{ takenOver: witness.seen.takenOver, retriedRequests: load.told.retries },
  }
  const report = formatReport(figures, measureStalls(injected, service.progress), verdicts)
  return { verdicts, violations: [...verdicts.values()].flat(), report }
}

async function injectAll(platform: Platform, options: RunOptions): Promise<Injected[]> {
  const { seed, durationMs, minFaults = 0, say } = options
  const random = createRandom(seed + 3)
  const targets = {
    ...Object.fromEntries(
      (['dispatcher', 'scheduler', 'audit', 'worker'] as const).map((role) => [
        role,
        platform.of(role).map(({ name }) => name),
      ]),
    ),
    [platform.deployment.kind]: ['redis'],
    [options.store]: ['store'],
  }
  const injected: Injected[] = []
  const deadline = Date.now() + durationMs
  for (const { pauseMs, faults } of planFaults({ ...options, targets })) {
    await sleep(pauseMs)
    if (Date.now() >= deadline && injected.length >= minFaults) return injected
    for (const { fault, target, forMs } of faults) say(`${fault} of ${target} for ${(forMs / 1000).toFixed(1)} s`)
    injected.push(...(await Promise.all(faults.map((planned) => injectFault(planned, platform, random)))))
  }
  return injected
}

function failuresIn({ apps }: Platform): string[] {
  const of = (output: string) => output.split('\n').filter((line) => line.includes('"event":"http.failed"'))
  return apps.flatMap((app) => of(app.output()).map((line) => `${app.name}: ${line}`))
}

/** Follows how far the audit app is, and lets whoever runs this look at the platform. */
function startWatching(platform: Platform, service: Service, { watch }: RunOptions) {
  const connections = platform.deployment.look()
  const { redis, keys } = createPartitions(connections.of, platform.deployment.partitions).of(
    fullAddress(NAMESPACE, 'mail'),
  )
  let going = true
  let mark = ''
  const sample = async () => {
    while (going) {
      const groups = (await redis.xinfo('GROUPS', keys.log).catch(() => [])) as (string | number)[][]
      const now = String(groups.find((fields) => fields[1] === LOG_READERS.audit)?.[7] ?? mark)
      if (now !== mark) service.progress.audit.push(Date.now())
      mark = now
      await sleep(AUDIT_SAMPLE_MS)
    }
  }
  const look = async () => {
    while (going && watch) {
      await watch(platform)
      await sleep(WATCH_MS)
    }
  }
  const running = Promise.all([sample(), look()])
  return {
    async stop() {
      going = false
      await running
      connections.disconnect()
    },
  }
}

function countsOf({ accepted, jobs, schedules, events, balances }: Evidence) {
  return {
    accepted: accepted.size,
    jobs: jobs.size,
    lost: [...accepted.keys()].filter((id) => (jobs.get(id)?.ends.length ?? 0) === 0).length,
    ticks: schedules.reduce((sum, { fired }) => sum + fired.length, 0),
    events: events.size,
    dead: balances.reduce((sum, { dead }) => sum + dead, 0),
  }
}
