import type { LabelsOf, MetricDefinition } from '@millrace/contracts'
import { type Entry, type Exemplar, type Sample, Series } from './series.ts'
import type { Labels, Subjects } from './subjects.ts'

/**
 * One histogram: an addition or two for each value, because it is on the way of every job. What Prometheus reads, with
 * buckets that hold those below them, is made of it at a scrape.
 */
export class HistogramCell {
  readonly #bounds: readonly number[]
  /** Values in each bucket alone; the last is for what is above every bound. */
  readonly #counts: number[]
  readonly #exemplars: (Exemplar | undefined)[]
  /** Buckets that have an exemplar since the last scrape, which reads no more than one of each. */
  #isFresh: boolean[]
  #sum = 0

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds
    this.#counts = new Array(bounds.length + 1).fill(0)
    this.#exemplars = new Array(bounds.length + 1).fill(undefined)
    this.#isFresh = new Array(bounds.length + 1).fill(false)
  }

  /** @param traceparent of what was measured, as W3C Trace Context has it: the exemplar leads to its trace */
  observe(value: number, traceparent?: string): void {
    const bounds = this.#bounds
    let bucket = 0
    while (bucket < bounds.length && value > (bounds[bucket] as number)) bucket++
    this.#counts[bucket]!++
    this.#sum += value
    if (traceparent !== undefined && !this.#isFresh[bucket]) this.#exemplify(bucket, value, traceparent)
  }

  /** Begin to measure; the function returned ends it. */
  startTimer(): () => void {
    const startedAt = performance.now()
    return () => this.observe((performance.now() - startedAt) / 1000)
  }

  samples(name: string, labels: Labels): Sample[] {
    this.#isFresh = this.#isFresh.map(() => false)
    let below = 0
    const buckets = this.#counts.map((count, index): Sample => {
      below += count
      const le = this.#bounds[index] ?? '+Inf'
      return bucketSample({ name, labels, le, value: below, exemplar: this.#exemplars[index] })
    })
    const total = { labels: {}, sharedLabels: labels }
    return [
      ...buckets,
      { ...total, metricName: `${name}_sum`, value: this.#sum },
      { ...total, metricName: `${name}_count`, value: below },
    ]
  }

  #exemplify(bucket: number, value: number, traceparent: string): void {
    const labelSet = { trace_id: traceparent.slice(3, 35) }
    this.#exemplars[bucket] = { labelSet, value, timestamp: Date.now() / 1000 }
    this.#isFresh[bucket] = true
  }
}

export class Histogram<Definition extends MetricDefinition> {
  readonly #name: string
  readonly #series: Series<HistogramCell>
  readonly #subjects: Subjects

  constructor(definition: Definition, subjects: Subjects) {
    const { name, buckets = [] } = definition
    this.#name = name
    this.#series = new Series(definition, () => new HistogramCell(buckets))
    this.#subjects = subjects
  }

  observe(labels: LabelsOf<Definition>, value: number, traceparent?: string): void {
    this.labels(labels).observe(value, traceparent)
  }

  /** The cell of these labels, to keep. */
  labels(labels: LabelsOf<Definition>): HistogramCell {
    return this.#series.shown(labels as Labels, this.#subjects)
  }

  forget(labels: Labels): void {
    this.#series.forget(labels)
  }

  samples(): Sample[] {
    const toSamples = ({ labels, cell }: Entry<HistogramCell>) => cell.samples(this.#name, labels)
    return this.#series.entries().flatMap(toSamples)
  }
}

function bucketSample(bucket: {
  name: string
  labels: Labels
  le: number | string
  value: number
  exemplar: Exemplar | undefined
}): Sample {
  const { name, labels, le, value, exemplar } = bucket
  return { metricName: `${name}_bucket`, labels: { le }, sharedLabels: labels, value, exemplar }
}
