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
      help: 'Time from the nominal time to the enqueued job',
      labelNames: [...schedule],
      buckets: [...BUCKETS.lateness],
      registers,
    }),
    next: new Gauge({
      name: 'millrace_schedule_next_fire_timestamp_seconds',
      help: 'Next nominal time, 0 when the schedule never fires again',
      labelNames: [...schedule],
      registers,
    }),
  }
}
export type SchedulerMetrics = ReturnType<typeof createSchedulerMetrics>
