import {
  type MetricDefinition,
  type MetricDefinitions,
  PROCESS_METRICS,
  type Subject,
  type SubjectLabels,
} from '@millrace/contracts'
import { collectDefaultMetrics, type Metric, type OpenMetricsContentType, Registry } from 'prom-client'
import { Counter } from './counter.ts'
import { Gauge } from './gauge.ts'
import { Histogram } from './histogram.ts'
import { type Labels, Subjects } from './subjects.ts'

/** What a metric of the catalogue is counted with. */
export type InstrumentOf<Definition extends MetricDefinition> = Definition extends { type: 'counter' }
  ? Counter<Definition>
  : Definition extends { type: 'gauge' }
    ? Gauge<Definition>
    : Histogram<Definition>

export type InstrumentsOf<Definitions extends MetricDefinitions> = {
  readonly [Name in keyof Definitions]: InstrumentOf<Definitions[Name]>
}

export interface MetricsOptions {
  readonly app: string
  readonly version: string
  /** How many queues have series of their own, and as many schedules and namespaces; the rest share `_other`. */
  readonly maxNames: number
}

/** Gauges of prom-client with the name of a counter, which promtool rejects; the same by type stand beside them. */
const MISNAMED = ['handles', 'requests', 'resources'].map((what) => `nodejs_active_${what}_total`)

/** The figures of this process alone, with Node's own and what is running. */
export class Metrics {
  readonly #registry = new Registry()
  readonly #app: string
  readonly #subjects: Subjects
  readonly #instruments: { forget(labels: Labels): void; subject: Subject | undefined }[] = []
  /** Of every process. */
  readonly own: InstrumentsOf<typeof PROCESS_METRICS>

  constructor({ app, version, maxNames }: MetricsOptions) {
    this.#app = app
    this.#subjects = new Subjects(maxNames)
    this.#registry.setDefaultLabels({ app })
    // Ten times a second, not a hundred: each look wakes a process that has nothing to do.
    collectDefaultMetrics({ register: this.#registry, eventLoopMonitoringPrecision: 100 })
    for (const name of MISNAMED) this.#registry.removeSingleMetric(name)
    this.own = this.instruments(PROCESS_METRICS)
    this.own.build.set({ version, node: process.version }, 1)
    // From the start, so that the first loss is an increase.
    this.own.reconnects.labels({ connection: 'commands' })
  }

  /** What to count the metrics of a catalogue with; asked for once. */
  instruments<Definitions extends MetricDefinitions>(definitions: Definitions): InstrumentsOf<Definitions> {
    const made = Object.entries(definitions).map(([key, definition]) => [key, this.#instrument(definition)])
    return Object.fromEntries(made)
  }

  /** A queue that is closed has no last value: every series of this subject goes. */
  forget<Of extends Subject>(subject: Of, labels: SubjectLabels<Of>): void {
    for (const instrument of this.#instruments) if (instrument.subject === subject) instrument.forget(labels)
    this.#subjects.forget(subject, labels)
  }

  /** All of it as text: with exemplars for who accepts OpenMetrics, else in the older format, which has none. */
  async expose(accept = ''): Promise<{ contentType: string; text: string }> {
    const isOpen = accept.includes('application/openmetrics-text')
    const registry = isOpen ? this.#openRegistry() : this.#registry
    return { contentType: registry.contentType, text: await registry.metrics() }
  }

  #instrument(
    definition: MetricDefinition,
  ): Counter<MetricDefinition> | Gauge<MetricDefinition> | Histogram<MetricDefinition> {
    const { name, type, help, subject } = definition
    const instrument = new INSTRUMENTS[type](definition, this.#subjects)
    this.#instruments.push({ subject, forget: (labels) => instrument.forget(labels) })
    const get = async () => ({ name, help, type, values: instrument.samples(), aggregator: 'sum' })
    this.#registry.registerMetric({ name, help, type, get } as unknown as Metric)
    return instrument
  }

  /**
   * The same metrics under another content type. prom-client takes `_total` off the names of counters when it writes
   * OpenMetrics, off the metric itself, so these are copies that only one answer uses.
   */
  #openRegistry(): Registry<OpenMetricsContentType> {
    const open = new Registry<OpenMetricsContentType>()
    open.setContentType(Registry.OPENMETRICS_CONTENT_TYPE)
    open.setDefaultLabels({ app: this.#app })
    for (const metric of this.#registry.getMetricsAsArray() as unknown as Readable[]) {
      const { name, type, help } = metric
      const copy = { name, type, help, get: async () => ({ ...(await metric.get()), name: copy.name }) }
      open.registerMetric(copy as unknown as Metric)
    }
    return open
  }
}

interface Readable extends Pick<MetricDefinition, 'name' | 'type' | 'help'> {
  get(): Promise<object>
}

const INSTRUMENTS = { counter: Counter, gauge: Gauge, histogram: Histogram } as const

/** The metrics of one process. */
export function createMetrics(options: MetricsOptions): Metrics {
  return new Metrics(options)
}
