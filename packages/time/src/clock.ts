/** Time as it is handed to whoever needs it. Facts carry the server's time; this one is for waiting and measuring. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
}

export const systemClock: Clock = { now: Date.now }
