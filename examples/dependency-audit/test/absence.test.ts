import { describe, expect, it } from 'vitest'
import { type Absence, decideAbsence } from '../src/absence.ts'
import { fitsMachine } from '../src/machine.ts'

const machine = { os: 'linux', cpu: 'x64', libc: 'glibc' }
const elsewhere = { optional: true, os: ['darwin'], cpu: ['arm64'] }
const here = { optional: true, os: ['linux'], cpu: ['x64'], libc: ['glibc'] }

describe('decideAbsence', () => {
  it.each<[string, Omit<Absence, 'machine'>, 'fail' | 'skip']>([
    ['the first time, when for another machine', { locked: elsewhere, attempt: 1, isNeeded: false }, 'fail'],
    ['the first time, when required', { locked: {}, attempt: 1, isNeeded: true }, 'fail'],
    ['optional and for another machine', { locked: elsewhere, attempt: 2, isNeeded: false }, 'skip'],
    ['the same, later', { locked: elsewhere, attempt: 7, isNeeded: false }, 'skip'],
    ['optional and for another libc', { locked: { ...here, libc: ['musl'] }, attempt: 2, isNeeded: false }, 'skip'],
    ['optional, unlimited, not asked for here', { locked: { optional: true }, attempt: 2, isNeeded: false }, 'skip'],
    ['optional, unlimited, asked for here', { locked: { optional: true }, attempt: 2, isNeeded: true }, 'fail'],
    ['optional, for this machine, asked for here', { locked: here, attempt: 3, isNeeded: true }, 'fail'],
    ['required', { locked: {}, attempt: 2, isNeeded: true }, 'fail'],
    ['required and for another machine', { locked: { os: ['darwin'] }, attempt: 2, isNeeded: false }, 'fail'],
    ['required and not asked for', { locked: {}, attempt: 2, isNeeded: false }, 'fail'],
  ])('%s', (_, absence, kind) => {
    expect(decideAbsence({ ...absence, machine }).kind).toBe(kind)
  })

  it('says for which machine a skipped package is, and which this one is', () => {
    const { why } = decideAbsence({ locked: elsewhere, attempt: 2, machine, isNeeded: false })
    expect(why).toBe('optional and for darwin/arm64; this is linux/x64/glibc')
  })
})

describe('fitsMachine', () => {
  it.each([
    [{}, true],
    [{ os: ['linux'], cpu: ['x64'], libc: ['glibc'] }, true],
    [{ os: ['android', 'linux'] }, true],
    [{ os: ['darwin'] }, false],
    [{ os: ['linux'], cpu: ['arm64'] }, false],
    [{ cpu: ['wasm32'] }, false],
    [{ libc: ['musl'] }, false],
    [{ os: ['!win32'] }, true],
    [{ os: ['!linux'] }, false],
    [{ os: ['any'] }, true],
    [{ os: [] }, true],
  ])('%j: %s', (limits, fits) => {
    expect(fitsMachine(limits, machine)).toBe(fits)
  })

  it('finds no libc to match on a system that has no choice of it', () => {
    const mac = { os: 'darwin', cpu: 'arm64', libc: undefined }
    expect(fitsMachine({ libc: ['glibc'] }, mac)).toBe(false)
    expect(fitsMachine({ os: ['darwin'] }, mac)).toBe(true)
  })
})
