import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

export { Counter, Gauge, Histogram, Registry }

/** Histogram buckets in seconds, by what is measured. */
export const BUCKETS = {
  /** HTTP requests that we answer: the advisory boundaries of the OpenTelemetry conventions. */
  server: [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10],
  /** HTTP requests that we make: handlers may take a minute. */
  delivery: [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 15, 30, 60],
  /** Waiting, from an instant to a day. */
  wait: [0.001, 0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 21600, 86400],
  /** How late a tick fires. */
  lateness: [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60],
} as const

/** A registry of this process alone, with Node's own figures and what is running. */
export function createMetrics({ app, version }: { app: string; version: string }): Registry {
  const registry = new Registry()
  registry.setDefaultLabels({ app })
  // Ten times a second, not a hundred: each look wakes a process that has nothing to do.
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 100 })
  new Gauge({
    name: 'millrace_build_info',
    help: 'Always 1; the labels say what runs',
    labelNames: ['version', 'node'],
    registers: [registry],
  }).set({ version, node: process.version }, 1)
  return registry
}
