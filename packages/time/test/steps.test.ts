import { afterEach, describe, expect, it, vi } from 'vitest'
import { type Loop, type StepsOptions, startSteps } from '../src/index.ts'

let loops: Loop[] = []
afterEach(async () => {
  await Promise.all(loops.map((loop) => loop.stop()))
  loops = []
})

/** Work in two places, `left` steps of each piece; `taken` says in which order they were taken. */
function rig(left: Record<string, Record<string, number>>, options: Partial<StepsOptions<string>> = {}) {
  const taken: string[] = []
  const errors: unknown[] = []
  const letGo: string[] = []
  const of = (place: string) => left[place] as Record<string, number>
  const loop = startSteps<string>({
    name: 'test',
    places: Object.keys(left),
    sweepMs: 20,
    running: async (place) => Object.keys(of(place)).filter((id) => of(place)[id]! > 0),
    lease: { take: async () => true, letGo: async (place) => void letGo.push(place) },
    async step(place, id) {
      taken.push(`${place}/${id}`)
      of(place)[id]!--
      return of(place)[id]! > 0 ? 0 : 1000
    },
    onError: (error) => void errors.push(error),
    ...options,
  })
  loops.push(loop)
  return { loop, taken, errors, letGo }
}

describe('work that goes on by steps', () => {
  it('takes turns, so that a long piece does not keep a short one waiting', async () => {
    const { taken } = rig({ a: { long: 100, short: 2 } })
    await vi.waitFor(() => expect(taken).toHaveLength(102))
    expect(taken.indexOf('a/short'), 'after one turn of the other').toBe(20)
  })

  it('waits for the sweep when another process has the lease, and goes on when it has let go', async () => {
    let free = false
    const { taken } = rig(
      { a: { one: 1 }, b: { two: 1 } },
      { lease: { take: async (place) => place === 'b' || free, letGo: async () => undefined } },
    )
    await vi.waitFor(() => expect(taken).toEqual(['b/two']))
    free = true
    await vi.waitFor(() => expect(taken).toEqual(['b/two', 'a/one']))
  })

  it('goes on elsewhere when one piece or one place fails, and tries that again', async () => {
    let broken = true
    const { taken, errors } = rig(
      { a: { bad: 1, good: 1 }, b: { other: 1 } },
      {
        running: async (place) => {
          if (place === 'b' && broken) throw new Error('b is away')
          return place === 'a' ? ['bad', 'good'] : ['other']
        },
        async step(place, id) {
          if (id === 'bad' && broken) throw new Error('bad')
          taken.push(`${place}/${id}`)
          return 1000
        },
      },
    )
    await vi.waitFor(() => expect(taken).toContain('a/good'))
    expect(errors.map(String)).toEqual(expect.arrayContaining(['Error: bad', 'Error: b is away']))
    broken = false
    await vi.waitFor(() => expect(taken).toEqual(expect.arrayContaining(['a/bad', 'b/other'])))
  })

  it('lets its leases go when it is stopped, after the step under way', async () => {
    const { promise: gate, resolve: open } = Promise.withResolvers<void>()
    let [begun, ended] = [false, false]
    const { loop, letGo } = rig(
      { a: { one: 1 }, b: {} },
      {
        async step() {
          begun = true
          await gate
          ended = true
          return 0
        },
      },
    )
    await vi.waitFor(() => expect(begun).toBe(true))
    const stopped = loop.stop()
    expect(letGo).toEqual([])
    open()
    await stopped
    expect([ended, letGo.toSorted()]).toEqual([true, ['a', 'b']])
  })
})
