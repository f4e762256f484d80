import type { ChildHandle } from '@millrace/testkit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type SubscribeRig, startSubscribeRig } from './subscribe-fixture.ts'

let rig: SubscribeRig
const members: ChildHandle[] = []
beforeEach(async () => {
  rig = await startSubscribeRig()
  await rig.apply()
}, 60_000)
afterEach(async () => {
  for (const member of members.splice(0)) await member.killGroup()
  await rig.stop()
})

async function join(group: string, env: Record<string, string> = {}): Promise<ChildHandle> {
  const member = await rig.startSubscriber(group, env)
  members.push(member)
  return member
}

const linesOf = (member: ChildHandle, word: string) =>
  member
    .lines()
    .filter((line) => line.startsWith(`${word} `))
    .map((line) => line.split(' '))
const numbersOf = (word: string) => members.flatMap((member) => linesOf(member, word).map(([, n]) => Number(n)))

describe('a group of subscribers', { timeout: 240_000 }, () => {
  it('has the events of a member that is killed or stands still handled by the others, at no attempt', async () => {
    const one = { TEST_CONCURRENCY: '1' }
    const [killed, stopped] = [await join('taken', one), await join('taken', one)]
    // Long enough that the first is still at it when the second has begun, however busy the machine.
    await rig.publish('work.sent', { n: 0, workMs: 3000 })
    await rig.publish('work.sent', { n: 1, workMs: 3000 })
    await killed.waitForLine(/^start/)
    await stopped.waitForLine(/^start/)
    const held = [killed, stopped].map((member) => linesOf(member, 'start')[0]?.[1])
    await killed.kill()
    stopped.signal('SIGSTOP')
    const third = await join('taken')
    for (const n of held) expect(await third.waitForLine(new RegExp(`^start ${n} `), 10_000)).toMatch(/ 1 2$/)
    await rig.until('taken', { succeeded: 2, running: 0 })
    stopped.signal('SIGCONT')
    await stopped.waitForLine(/^error sdk\.lease_lost/)
    await rig.publish('work.sent', { n: 2 })
    await rig.until('taken', { succeeded: 3, running: 0, dead: 0 })
  })

  it('loses nothing and counts nothing twice while its members are killed, stand still and come back', async () => {
    let current = await join('restless')
    const [stopped] = [await join('restless'), await join('restless')]
    const total = 240
    let published = 0
    const publishSome = async () => {
      for (const end = published + total / 4; published < end; published++)
        await rig.publish('work.sent', { n: published, workMs: published % 5, fails: published % 40 === 39 })
    }
    for (const round of [0, 1, 2, 3]) {
      const publishing = publishSome()
      if (round === 1) stopped?.signal('SIGSTOP')
      if (round === 2) {
        await current.kill()
        current = await join('restless')
      }
      await publishing
      if (round === 3) stopped?.signal('SIGCONT')
    }
    await rig.until('restless', { succeeded: total - 6, dead: 6, waiting: 0, running: 0, scheduled: 0 })
    const handled = new Set(numbersOf('start'))
    expect([...handled].toSorted((a, b) => a - b)).toEqual(Array.from({ length: total }, (_, n) => n))
  })

  it('gets what was published while nobody was there', async () => {
    const gone = await join('absent')
    await rig.publish('work.sent', { n: 0 })
    await rig.until('absent', { succeeded: 1 })
    await gone.stop()
    await rig.publish('work.sent', { n: 1 })
    await rig.until('absent', { waiting: 1 })
    await rig.publish('work.sent', { n: 2 })
    await join('absent')
    await rig.until('absent', { succeeded: 3, waiting: 0 })
    expect(numbersOf('end')).toEqual([0, 1, 2])
  })
})
