import { describe, expect, it } from 'vitest'
import { eventually } from '../src/index.ts'

describe('eventually', () => {
  it('resolves with the first value that is neither false nor undefined', async () => {
    const values = [undefined, false, 0, 1]
    expect(await eventually(() => values.shift(), { intervalMs: 1 })).toBe(0)
  })

  it('takes an error for "not yet" and reports the last one', async () => {
    const never = () => {
      throw new Error('still 3 left')
    }
    const waiting = eventually(never, { timeoutMs: 20, what: 'an empty queue' })
    await expect(waiting).rejects.toThrow('Waited 20 ms for an empty queue; the last check threw: still 3 left')
  })

  it('says what the last check returned', async () => {
    await expect(eventually(() => false, { timeoutMs: 5 })).rejects.toThrow('the last check returned false')
  })
})
