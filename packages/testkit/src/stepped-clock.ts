/**
 * Loaded into a process of a test with `--import`: its clock is the machine's, `TEST_CLOCK_AHEAD_MS` off, until SIGWINCH, then `TEST_CLOCK_STEPS_MS`
 * (offsets with commas between) off, one after the other, and again from the first. Only what the process itself takes for the
 * time is off: `Date`, not its timers, as when somebody sets a clock. (SIGWINCH, because nothing else of a server listens to it, and a
 * process that has not come so far ignores it.)
 */
const steps = (process.env.TEST_CLOCK_STEPS_MS ?? '5000,0').split(',').map(Number)
const RealDate = Date
const realNow = Date.now
let taken = 0
let offsetMs = Number(process.env.TEST_CLOCK_AHEAD_MS ?? 0)

const now = () => realNow() + offsetMs

class SteppedDate extends RealDate {
  constructor(...parts: unknown[]) {
    // Its many signatures cannot be spread in one; what is passed on is what came.
    super(...((parts.length === 0 ? [now()] : parts) as [number]))
  }
  static override now = now
}

globalThis.Date = SteppedDate as DateConstructor
process.on('SIGWINCH', () => {
  offsetMs = steps[taken++ % steps.length] as number
})
