import type { LabelsOf, MetricDefinition } from '@millrace/contracts'

/** Matchers of labels that a dashboard's variables give, such as `queue=~"$queue"`. */
export type Matchers = readonly string[]

/** A selector of a metric's samples. What it is called and which words its labels have is checked by the catalogue. */
export function series<const Definition extends MetricDefinition>(
  metric: Definition,
  labels: Partial<LabelsOf<Definition>> = {},
  matchers: Matchers = [],
): string {
  return selector(metric.name, labels, matchers)
}

interface HistogramDefinition extends MetricDefinition {
  readonly type: 'histogram'
}

/** How fast each bucket of a histogram fills, by its bounds and the labels given: what histogram_quantile takes. */
export function bucketRates(metric: HistogramDefinition, by: readonly string[], matchers: Matchers = []): string {
  return `sum by (${[...by, 'le'].join(', ')}) (rate(${selector(`${metric.name}_bucket`, {}, matchers)}[5m]))`
}

export function quantile(rank: number, rates: string): string {
  return `histogram_quantile(${rank}, ${rates})`
}

/** Selects from a recording rule, or from a metric of Prometheus itself. */
export function selector(
  name: string,
  labels: Readonly<Record<string, unknown>> = {},
  matchers: Matchers = [],
): string {
  const all = [...Object.entries(labels).map(([label, value]) => `${label}="${value}"`), ...matchers]
  return all.length === 0 ? name : `${name}{${all.join(',')}}`
}

const NAME = /\b(?:millrace|http_server)_[a-z0-9_]+\b/g

/** The metrics of the catalogue that an expression reads, without the suffixes of histograms. */
export function metricsIn(expression: string): string[] {
  const names = expression.match(NAME) ?? []
  return [...new Set(names.map((name) => name.replace(/_(bucket|sum|count)$/, '')))]
}
