import type { ClaimedJob } from '@millrace/streams'
import { describe, expect, it } from 'vitest'
import { Hand } from '../src/hand.ts'

const jobs = (...ids: string[]): ClaimedJob[] =>
  ids.map((id) => ({
    ...{
      address: 'shop/mail',
      lane: 'normal',
      readyAtMs: 0,
      id,
      attempt: 1,
      epoch: 1,
      moved: false,
      meta: {},
      data: '{}',
    },
  }))

describe('a hand', () => {
  it('lets attempts begin where a claim lets them, and in the place of others that ended, oldest first', () => {
    const hand = new Hand()
    hand.add(jobs('a', 'b', 'c'), 1)
    expect(hand.next()?.id).toBe('a')
    expect(hand.next()).toBeUndefined()
    hand.ended()
    expect(hand.next()?.id).toBe('b')
    expect(hand.next()).toBeUndefined()
    expect(hand.prefetched).toBe(1)
  })

  it('gives back with each word the places that are still free', () => {
    const hand = new Hand()
    hand.ended()
    expect(hand.say()).toBeUndefined()
    hand.add(jobs('a'), 0)
    expect(hand.next()).toBeUndefined()
    expect(hand.say()).toBe(1)
  })

  it('says that there are none once, where Redis has heard of some', () => {
    const hand = new Hand()
    expect(hand.say()).toBeUndefined()
    hand.add(jobs('a'), 0)
    expect(hand.say()).toBe(1)
    hand.removeAll()
    expect([hand.say(), hand.say()]).toEqual([0, undefined])
  })

  it('says so with the next settle too when only a claim has said it, which may not have noted it', () => {
    const hand = new Hand()
    hand.add(jobs('a'), 0)
    hand.say()
    hand.removeAll()
    expect(hand.ask(5, 0)).toBe(0)
    hand.answered()
    expect([hand.say(), hand.say()]).toEqual([0, undefined])
  })

  it('leaves out, while a claim is under way, those at which it may have let attempts begin', () => {
    const hand = new Hand()
    hand.add(jobs('a', 'b', 'c'), 0)
    expect(hand.ask(2, 3)).toBe(3)
    expect(hand.say()).toBe(1)
    hand.answered()
    hand.add([], 2)
    expect([hand.next()?.id, hand.next()?.id, hand.next()?.id]).toEqual(['a', 'b', undefined])
    expect(hand.say()).toBe(1)
  })

  it('says that there are none while a claim may have let all of them begin, and what is left afterwards', () => {
    const hand = new Hand()
    hand.add(jobs('a', 'b'), 0)
    hand.ask(5, 2)
    expect(hand.say()).toBe(0)
    hand.answered()
    hand.removeAll()
    expect(hand.say(), 'the claim may have noted some').toBe(0)
  })

  it('tells since when the oldest is there', () => {
    const hand = new Hand()
    expect(hand.sinceMs).toBeUndefined()
    hand.add(jobs('a'), 0)
    const since = hand.sinceMs
    hand.add(jobs('b'), 1)
    expect(hand.sinceMs).toBe(since)
    hand.next()
    expect(hand.sinceMs).toBeGreaterThanOrEqual(since!)
    expect(hand.remove('b')?.id).toBe('b')
    expect(hand.remove('b')).toBeUndefined()
    expect(hand.sinceMs).toBeUndefined()
  })
})
