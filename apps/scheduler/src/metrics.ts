import { BUCKETS, Counter, Gauge, Histogram, type Registry } from '@millrace/runtime'

/** Everything the scheduler counts. Labels are names from manifests and fixed words, never ids. */
export function createSchedulerMetrics(registry: Registry) {
  const registers = [registry]
  const schedule = ['namespace', 'schedule'] as const
  return {
    ticks: new Counter({
      name: 'millrace_schedule_ticks_total',
      help: 'Nominal times by what became of them',
      labelNames: [...schedule, 'result'],
      registers,
    }),
    lateness: new Histogram({
      name: 'millrace_schedule_lateness_seconds',
      help: "Time from a planned tick's time, jitter included, to its enqueued job",
      labelNames: [...schedule],
      buckets: [...BUCKETS.lateness],
      registers,
    }),
    next: new Gauge({
      name: 'millrace_schedule_next_fire_timestamp_seconds',
      help: 'When it fires next, jitter included; 0 when it never fires again',
      labelNames: [...schedule],
      registers,
    }),
    lastSuccess: new Gauge({
      name: 'millrace_schedule_last_success_timestamp_seconds',
      help: 'When a run last succeeded; 0 when none has',
      labelNames: [...schedule],
      registers,
    }),
    paused: new Gauge({
      name: 'millrace_schedule_paused',
      help: '1 while it is paused, by hand or by the manifest',
      labelNames: [...schedule],
      registers,
    }),
  }
}
export type SchedulerMetrics = ReturnType<typeof createSchedulerMetrics>
