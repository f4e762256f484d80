/**
 * What a metric is, said once: from this the apps make what they count with, and the pages, rules and dashboards are made.
 *
 * Names and units follow the conventions of Prometheus: base units, `_total` for counters alone, times of day as
 * `_timestamp_seconds` rather than ages, because an age stands still when whoever computes it does.
 */
export interface MetricDefinition {
  readonly name: `${string}_${string}`
  readonly type: 'counter' | 'gauge' | 'histogram'
  /** What one unit of its value is. */
  readonly unit: 'seconds' | 'bytes' | 'boolean' | 'timestamp' | Things
  /** A phrase without a full stop: promtool and people read it beside the name. */
  readonly help: string
  /** Whose figure it is, where manifests name them: their number is bounded by MILLRACE_METRICS_NAMES. */
  readonly subject?: Subject
  readonly labels?: Readonly<Record<string, LabelValues>>
  /** Upper bounds of a histogram, rising. */
  readonly buckets?: readonly number[]
  /** Of a gauge with a subject: what is shown of all that have no labels of their own. */
  readonly rest?: Rest
}

export type Things =
  | 'jobs'
  | 'requests'
  | 'attempts'
  | 'events'
  | 'entries'
  | 'records'
  | 'times'
  | 'streams'
  | 'chains'

/** The labels that each kind of subject has. */
export const SUBJECTS = {
  queue: ['namespace', 'queue'],
  schedule: ['namespace', 'schedule'],
  namespace: ['namespace'],
} as const
export type Subject = keyof typeof SUBJECTS

/** The name under which everything beyond the limit is shown. No manifest can declare it, because of the underscore. */
export const OTHER = '_other'

/** `earliest`: the smallest that is not 0, since 0 says that there is no such time. */
export type Rest = 'sum' | 'max' | 'earliest'

/** Fixed words, with what each means where the word does not say it; or one of the lists that configuration bounds. */
export type LabelValues = Readonly<Record<string, string>> | readonly string[] | OpenLabel

/** Labels whose values are no fixed words, and what bounds them. */
export const OPEN_LABELS = {
  partition: '`p0`, `p1`, …: as many as `MILLRACE_PARTITIONS`, and `reg`, the log of the registry',
  route: 'the routes of this app, and `_other` for a path that is none',
  method: 'the methods of HTTP',
  status: 'three digits',
  version: 'what runs here',
} as const
export type OpenLabel = keyof typeof OPEN_LABELS

type WordsOf<Values> = Values extends readonly (infer Word)[]
  ? Word
  : Values extends OpenLabel
    ? string | number
    : keyof Values

export type SubjectLabels<Of extends Subject> = Readonly<Record<(typeof SUBJECTS)[Of][number], string>>

/** The labels of one metric, each with the words that it may say. */
export type LabelsOf<Definition> = (Definition extends { subject: infer Of extends Subject }
  ? SubjectLabels<Of>
  : unknown) &
  (Definition extends { labels: infer Labels }
    ? { readonly [Label in keyof Labels]: WordsOf<Labels[Label]> }
    : Readonly<Record<never, never>>)

export type MetricDefinitions = Readonly<Record<string, MetricDefinition>>

/** All labels of a metric, in the order in which they are shown. */
export function labelNamesOf({ subject, labels = {} }: MetricDefinition): string[] {
  return [...(subject ? SUBJECTS[subject] : []), ...Object.keys(labels)]
}

/** The fixed words of a label; undefined when it is one that configuration bounds. */
export function wordsOf(values: LabelValues): string[] | undefined {
  if (typeof values === 'string') return undefined
  return Array.isArray(values) ? [...values] : Object.keys(values)
}
