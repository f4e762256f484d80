import type { LabelsOf, MetricDefinition, Rest } from '@millrace/contracts'
import { type Entry, type Sample, Series } from './series.ts'
import { type Labels, otherLabels, type Subjects } from './subjects.ts'

export class GaugeCell {
  value = 0

  set(value: number): void {
    this.value = value
  }

  inc(by = 1): void {
    this.value += by
  }
}

const RESTS: Readonly<Record<Rest, (values: readonly number[]) => number>> = {
  sum: (values) => values.reduce((total, value) => total + value, 0),
  max: (values) => values.reduce((most, value) => Math.max(most, value)),
  earliest: (values) =>
    values.reduce((first, value) => (first === 0 || (value !== 0 && value < first) ? value : first)),
}

/** Unlike what is counted, what stands in several queues can be shown as one only when all of it is known: at a scrape. */
export class Gauge<Definition extends MetricDefinition> {
  readonly #definition: MetricDefinition
  readonly #series: Series<GaugeCell>
  readonly #subjects: Subjects

  constructor(definition: Definition, subjects: Subjects) {
    this.#definition = definition
    this.#series = new Series(definition, () => new GaugeCell())
    this.#subjects = subjects
  }

  set(labels: LabelsOf<Definition>, value: number): void {
    this.labels(labels).set(value)
  }

  labels(labels: LabelsOf<Definition>): GaugeCell {
    return this.#series.of(labels as Labels)
  }

  /** Before all values are set anew, so that what is there no more leaves none behind. */
  clear(): void {
    this.#series.clear()
  }

  forget(labels: Labels): void {
    this.#series.forget(labels)
  }

  samples(): Sample[] {
    const { subject, rest = 'sum' } = this.#definition
    const entries = this.#series.entries()
    if (!subject) return entries.map(toSample)
    const isShown = ({ labels }: Entry<GaugeCell>) => this.#subjects.isShown(subject, labels)
    const { true: shown = [], false: others = [] } = Object.groupBy(entries, (entry) => `${isShown(entry)}` as const)
    const folded = Map.groupBy(others, ({ labels }) => JSON.stringify(otherLabels(subject, labels)))
    return [
      ...shown.map(toSample),
      ...[...folded.values()].map((group) => ({
        labels: otherLabels(subject, (group[0] as Entry<GaugeCell>).labels),
        value: RESTS[rest](group.map(({ cell }) => cell.value)),
      })),
    ]
  }
}

function toSample({ labels, cell }: Entry<GaugeCell>): Sample {
  return { labels, value: cell.value }
}
