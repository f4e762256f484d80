/**
 * Waiting and measuring, for packages that a service imports as well: no dependencies.
 *
 * ```ts
 * const loop = startLoop({ name: 'sweep', intervalMs: 1000, run: async () => undefined, onError: console.error })
 * await loop.stop()
 * ```
 */
export { type Clock, systemClock } from './clock.ts'
export { type Loop, type LoopOptions, startLoop } from './loop.ts'
export { Pulse, type PulseOptions } from './pulse.ts'
export { type StepsOptions, startSteps } from './steps.ts'
