import type { LabelsOf, MetricDefinition } from '@millrace/contracts'
import { type Sample, Series } from './series.ts'
import type { Labels, Subjects } from './subjects.ts'

export class CounterCell {
  value = 0

  inc(by = 1): void {
    this.value += by
  }
}

export class Counter<Definition extends MetricDefinition> {
  readonly #series: Series<CounterCell>
  readonly #subjects: Subjects

  constructor(definition: Definition, subjects: Subjects) {
    this.#series = new Series(definition, () => new CounterCell())
    this.#subjects = subjects
  }

  inc(labels: LabelsOf<Definition>, by = 1): void {
    this.labels(labels).inc(by)
  }

  /** The cell of these labels, to keep. It is shown from now on, at 0, so that its first increase is seen as one. */
  labels(labels: LabelsOf<Definition>): CounterCell {
    return this.#series.shown(labels as Labels, this.#subjects)
  }

  forget(labels: Labels): void {
    this.#series.forget(labels)
  }

  samples(): Sample[] {
    return this.#series.entries().map(({ labels, cell }) => ({ labels, value: cell.value }))
  }
}
