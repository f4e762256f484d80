import { setTimeout as delay } from 'node:timers/promises'
import type { Replay } from '@millrace/contracts'
import type { Command } from 'commander'
import { call, callAll } from '../http.ts'
import { print, table } from '../output.ts'
import { type CommonOptions, currentUser, urlOf, withCommonOptions } from './options.ts'
import { subscriptionPath } from './subscription-path.ts'

interface ReplayOptions extends CommonOptions {
  readonly from: string
  readonly to: string
  readonly rate: string
  readonly dryRun?: boolean
  readonly wait?: boolean
  readonly why?: string
}

type ReplayAnswer = { readonly matching: number; readonly looked: number } | Replay

const LOOK_MS = 500

/** `millrace subscriptions replay`. */
export function addReplay(parent: Command): void {
  withCommonOptions(parent.command('replay <id>'), 'dispatcher')
    .description('deliver a range of past events again, at a rate; the subscription goes on as it is meanwhile')
    .requiredOption('--from <place>', 'the first: earliest, a time, or the id of an event (evt_…)')
    .option('--to <place>', 'the end: now, a time, or the id of an event', 'now')
    .option('--rate <n>', 'so many a second at most', '100')
    .option('--dry-run', 'only count')
    .option('--wait', 'until it is over; exit code 1 when it was stopped')
    .option('--why <reason>', 'reason, for the audit trail')
    .addHelpText(
      'after',
      '\nExamples:\n  $ millrace subscriptions replay my-service.paid-orders --from 2026-11-20T00:00:00Z --dry-run\n  $ millrace subscriptions replay my-service.paid-orders --from 2026-11-20T00:00:00Z --rate 50 --wait --why "the handler had a bug"',
    )
    .action(async (id: string, options: ReplayOptions) => {
      const { from, to, rate, dryRun = false, why } = options
      const body = {
        from,
        to,
        ratePerSecond: Number(rate),
        dryRun,
        who: currentUser(),
        ...(why !== undefined && { why }),
      }
      const url = urlOf('dispatcher', options)
      const asked = await call<ReplayAnswer>(url, `${subscriptionPath(id)}/replay`, { method: 'POST', body })
      const answer = options.wait && 'state' in asked ? await untilOver(url, asked) : asked
      const counted =
        'matching' in answer && `${answer.matching} events would be delivered again. Leave out --dry-run to do it.`
      print(answer, { json: options.json ?? false, text: counted || describe(answer as Replay) })
      if (options.wait && 'state' in answer && answer.state === 'stopped') process.exitCode = 1
    })
}

async function untilOver(url: string, asked: Replay): Promise<Replay> {
  let replay = asked
  while (replay.state === 'running') {
    await delay(LOOK_MS)
    const replays = await replaysOf(url, asked.subscription)
    replay = replays.find(({ id }) => id === asked.id) ?? replay
  }
  return replay
}

function replaysOf(url: string, subscription: string): Promise<Replay[]> {
  return callAll(url, `${subscriptionPath(subscription)}/replays`, 'replays')
}

/** `millrace subscriptions replays|stop`. */
export function addReplays(parent: Command): void {
  withCommonOptions(parent.command('replays <id>'), 'dispatcher')
    .description('replays into a subscription, the newest first')
    .addHelpText('after', '\nExample:\n  $ millrace subscriptions replays my-service.paid-orders')
    .action(async (id: string, options: CommonOptions) => {
      const replays = await replaysOf(urlOf('dispatcher', options), id)
      const rows = replays.map(({ id: replay, state, from, to, replayed, ratePerSecond, startedAt }) => [
        ...[replay, state, from, to, String(replayed), String(ratePerSecond), startedAt],
      ])
      const text = table(['REPLAY', 'STATE', 'FROM', 'TO', 'REPLAYED', 'A SECOND', 'STARTED AT'], rows)
      print({ replays }, { json: options.json ?? false, text: rows.length === 0 ? 'No replays.' : text })
    })
  withCommonOptions(parent.command('stop <replay>'), 'dispatcher')
    .description('stop a replay; what it has put into the queue is delivered')
    .option('--why <reason>', 'reason, for the audit trail')
    .addHelpText('after', '\nExample:\n  $ millrace subscriptions stop replay_… --why "wrong range"')
    .action(async (id: string, { why, ...options }: CommonOptions & { why?: string }) => {
      const body = { who: currentUser(), ...(why !== undefined && { why }) }
      const path = `/replays/${encodeURIComponent(id)}/stop`
      const answer = await call<Replay>(urlOf('dispatcher', options), path, { method: 'POST', body })
      print(answer, { json: options.json ?? false, text: describe(answer) })
    })
}

function describe({ id, subscription, state, replayed }: Replay): string {
  return `${id} ${state}, ${replayed} delivered again into ${subscription}`
}
