/** Upper bounds of histograms, by what is measured; seconds where nothing else is said. */
export const BUCKETS = {
  /** HTTP requests that we answer: the advisory boundaries of the OpenTelemetry conventions. */
  server: [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10],
  /** HTTP requests that we make: handlers may take a minute. */
  delivery: [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 15, 30, 60],
  /** Waiting, from an instant to a day; the first, because a queue that keeps up waits less than 10 ms. */
  wait: [0.001, 0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 21600, 86400],
  /** How late a tick fires. */
  delay: [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60],
  /** Work of our own, from half a millisecond. */
  work: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1],
  /** A batch of one is about an fsync, a batch of a thousand about 25 ms. */
  fold: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
  /** Jobs in a batch, whose largest size is 1000. */
  batch: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000],
  /** Attempts at a job: most need one, and the default allows four. */
  attempts: [1, 2, 3, 5, 8, 13, 21],
  /** Bytes of an event; the largest may be 16 MiB. */
  eventBytes: [256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576],
} as const
