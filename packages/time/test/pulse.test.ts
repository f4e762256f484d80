import { describe, expect, it } from 'vitest'
import { Pulse } from '../src/index.ts'

describe('a pulse', () => {
  const at = { ms: 0 }
  const start = (everyMs?: number) => {
    at.ms = 1000
    return new Pulse({ done: 'ticked', ...(everyMs && { everyMs }), failingForMs: 500, now: () => at.ms })
  }

  it('is a problem once the duty has been silent for longer than it ever is', () => {
    const pulse = start(2000)
    at.ms += 2000
    expect(pulse.problem()).toBeUndefined()
    at.ms += 500
    expect(pulse.problem()).toBe('has not ticked for 2.5 s')
    pulse.beat()
    expect(pulse.problem()).toBeUndefined()
  })

  it('of a duty that rests when there is nothing to do may be silent', () => {
    const pulse = start()
    at.ms += 86_400_000
    expect(pulse.problem()).toBeUndefined()
  })

  it('names the last error once it has failed for a while, and none that was followed by a success', () => {
    const pulse = start()
    pulse.fail(new Error('first'))
    at.ms += 400
    expect(pulse.problem()).toBeUndefined()
    pulse.fail(new Error('WRONGTYPE'))
    at.ms += 100
    expect(pulse.problem()).toBe('has not ticked for 0.5 s: WRONGTYPE')
    pulse.beat()
    at.ms += 10_000
    expect(pulse.problem()).toBeUndefined()
  })
})
