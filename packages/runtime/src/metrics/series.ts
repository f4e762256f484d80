import { labelNamesOf, type MetricDefinition } from '@millrace/contracts'
import { type Labels, otherLabels, type Subjects, subjectName } from './subjects.ts'

/** One sample as prom-client writes it. */
export interface Sample {
  readonly value: number
  readonly labels: Labels
  /** Written beside `labels`; kept apart because prom-client formats the same object only once. */
  readonly sharedLabels?: Labels
  readonly metricName?: string
  readonly exemplar?: Exemplar | undefined
}

export interface Exemplar {
  readonly labelSet: { readonly trace_id: string }
  readonly value: number
  /** In seconds. */
  readonly timestamp: number
}

export interface Entry<Cell> {
  readonly labels: Labels
  readonly cell: Cell
}

/** The cells of one metric by their labels. Whoever counts the same thing often asks once and keeps the cell. */
export class Series<Cell> {
  readonly #definition: MetricDefinition
  readonly #names: readonly string[]
  readonly #make: () => Cell
  readonly #entries = new Map<string, Entry<Cell>>()

  constructor(definition: MetricDefinition, make: () => Cell) {
    this.#definition = definition
    this.#names = labelNamesOf(definition)
    this.#make = make
    // A metric without labels is there from the start, at 0.
    if (this.#names.length === 0) this.of({})
  }

  of(labels: Labels): Cell {
    const key = this.#keyOf(labels)
    const known = this.#entries.get(key)
    if (known) return known.cell
    const own = Object.fromEntries(this.#names.map((name) => [name, labels[name] ?? '']))
    const entry = { labels: own, cell: this.#make() }
    this.#entries.set(key, entry)
    return entry.cell
  }

  /** The cell of these labels, or of `_other` where the subject has none of its own. */
  shown(labels: Labels, subjects: Subjects): Cell {
    // A subject that has a cell of its own is shown: asking for that first is half of what it takes to count something.
    const known = this.#entries.get(this.#keyOf(labels))
    if (known) return known.cell
    const { subject } = this.#definition
    if (!subject || subjects.isShown(subject, labels)) return this.of(labels)
    return this.of(otherLabels(subject, labels))
  }

  entries(): Entry<Cell>[] {
    return [...this.#entries.values()]
  }

  /** Every cell of one subject goes. */
  forget(labels: Labels): void {
    const { subject } = this.#definition
    if (!subject) return
    const name = subjectName(subject, labels)
    for (const [key, entry] of this.#entries) {
      if (subjectName(subject, entry.labels) === name) this.#entries.delete(key)
    }
  }

  clear(): void {
    this.#entries.clear()
  }

  #keyOf(labels: Labels): string {
    return this.#names.map((name) => labels[name]).join(' ')
  }
}
